# watch: from fixed revisions, so that what it shows does not depend on when it starts.
put a 1
put b 1
put a 2
del a
put ab 1
txn << \nput a 3\nput c 3\ndel b\n\n\n
start w watch a --rev 2
until w 3
stop w
start w watch a --rev 2 --prev-kv
until w 3
stop w
start w watch a --prefix --rev 2
until w 3
stop w
start w watch a c --rev 2
until w 3
stop w
start w watch '' --prefix --rev 2
until w c
stop w
start w watch b c --rev 3 --prev-kv
until w DELETE
stop w
start w watch a --rev 5 -w json
until w Events
start v watch c --rev 7 -w json
until v Events
stop v
start v watch c --rev 7 -w fields
until v Lease
stop v
start v watch c --rev 7 --prev-kv -w fields
until v Lease
stop v
start v watch c --rev 7 -w table
wait v
start v watch c --rev 7 --hex
until v PUT
stop v
start f watch future --rev 9
put other 1
put future 1
until f PUT
stop f
# ---- with a command
start x watch c --rev 7 -- echo watched
until x watched
stop x
start x watch c --rev 7 -- sh -c 'echo $ETCD_WATCH_EVENT_TYPE $ETCD_WATCH_KEY $ETCD_WATCH_VALUE $ETCD_WATCH_REVISION'
until x "PUT" "c"
stop x
# ---- interactive
watch -i << nonsense\n
# ---- compacted, wrong
compaction 5
start v watch a --rev 2
wait v
start v watch a --rev 5
until v DELETE
stop v
watch
watch a --rev nonsense
watch a c --prefix
