# endpoint, member, alarm, defrag, move-leader.
put a 1
put b 2
endpoint status
endpoint status -w json
endpoint status -w fields
endpoint status -w table
endpoint status --cluster
endpoint health
endpoint health -w json
endpoint health -w fields
endpoint health -w table
endpoint health --cluster
endpoint hashkv
endpoint hashkv -w json
endpoint hashkv -w fields
endpoint hashkv -w table
endpoint hashkv --rev 2
endpoint hashkv --rev 2 -w json
endpoint hashkv --rev 1000
endpoint hashkv --cluster
endpoint nonsense
member list
member list -w json
member list -w fields
member list -w table
member list -w protobuf
member list --hex -w json
member list nonsense
alarm list
alarm list -w json
alarm list -w fields
alarm list -w table
alarm disarm
alarm disarm -w json
alarm nonsense
defrag
defrag --cluster
defrag -w json
move-leader
move-leader nonsense
move-leader 77
move-leader $MEMBER
put after 1
compaction 3
endpoint hashkv
endpoint hashkv --rev 2
endpoint hashkv --rev 4 -w json
get '' --prefix
