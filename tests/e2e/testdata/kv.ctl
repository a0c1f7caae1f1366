# put, get, del with every option, in every format. docs of the format: ctl_script.h
put foo bar
put foo baz --prev-kv
put new 1 --prev-kv
put empty ''
put stdin << from stdin\n
put -- -dash -value
get -- -dash
get foo
get foo -w json
get foo -w fields
get foo -w table
get foo -w protobuf
get foo -w nonsense
get foo --hex
get foo --hex -w fields
get foo --print-value-only
get missing
get missing -w json
get
get ''
put
put one
put ''  value
put a 1
put a/1 x
put a/2 y
put a/2 z
put b 2
put c 0
get a b
get a --prefix
get a --prefix -w json
get a --prefix -w fields
get '' --prefix --keys-only
get '' --from-key --keys-only
get b --from-key
get b --from-key --prefix
get a c --prefix
get a --prefix --limit 2
get a --prefix --limit=2 -w json
get a --prefix --limit=100 -w fields
get '' --prefix --order ASCEND
get '' --prefix --order DESCEND
get '' --prefix --order nonsense
get a d --sort-by KEY --order DESCEND
get a d --sort-by CREATE
get a d --sort-by CREATE --order DESCEND
get a d --sort-by MODIFY --order DESCEND
get a d --sort-by VERSION --order DESCEND --limit 1
get a d --sort-by VALUE
get a d --sort-by VALUE --order DESCEND
get a d --sort-by nonsense
get a d --keys-only
get a d --keys-only -w json
get a d --keys-only --print-value-only
get a --prefix --print-value-only
get foo --rev 2
get foo --rev 2 -w json
get foo --rev 1000
get foo --rev 0
get foo --consistency s
get foo --consistency=l
get foo --consistency x
put foo --ignore-value
put foo value --ignore-value
put foo --ignore-value --prev-kv
put absent --ignore-value
put absent 1 --ignore-lease
put foo 2 --ignore-lease
put foo bar --lease 1234
put foo bar --lease nonsense
put foo third -w json
put foo fourth --prev-kv -w json
put foo fifth --prev-kv -w fields
put foo sixth -w fields
put foo seventh -w table
put foo bar extra
del missing
del foo
del foo -w json
put foo back
del foo --prev-kv
put foo back
del foo --prev-kv -w json
put foo back
del foo --prev-kv -w fields
del a/ --prefix --prev-kv
del a c
del c --from-key --prefix
del c d --prefix
del
del ''
put x 1
put y 2
del x --from-key --prev-kv
get '' --prefix
del '' --prefix
del '' --from-key
get '' --prefix -w json
# ---- compaction
put k 1
put k 2
put k 3
compaction 5
compaction 5
compaction 1000
compaction
compaction nonsense
compaction 8 --physical
compaction 9 -w json
get k --rev 3
get k --rev 9
# ---- what is no command
nonsense
version
put a 1 --nonsense
