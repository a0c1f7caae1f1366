# lease …
lease list
lease grant 6000
lease grant
lease grant nonsense
lease grant 1
lease grant 9000000001
lease grant 5000 -w json
lease grant 4000 -w fields
lease revoke $L2
put a 1 --lease $L1
put b 1
put c 1 --lease $L3
get a -w json
get a -w fields
lease timetolive $L1
lease timetolive $L1 --keys
lease timetolive $L1 --keys -w json
lease timetolive $L1 -w fields
lease timetolive $L1 --keys -w fields
lease timetolive $L2
lease timetolive $L2 -w json
lease timetolive
lease timetolive nonsense
lease timetolive 77 --keys
lease keep-alive $L1 --once
lease keep-alive $L1 --once -w json
lease keep-alive $L1 --once -w fields
lease keep-alive 77 --once
lease keep-alive nonsense
lease keep-alive
start k lease keep-alive $L1
until k keepalived
stop k
lease list
lease list -w json
lease list -w fields
put a 2 --ignore-lease
put b --ignore-value
lease timetolive $L1 --keys
txn << lease("a") = "$L1"\n\nget a\n\nget b\n\n
lease revoke $L1
lease revoke $L1
lease revoke
lease revoke nonsense
lease revoke $L3 -w json
get '' --prefix
lease nonsense
lease list
