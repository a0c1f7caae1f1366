# The little language of `etcdctl txn`.
put key1 val1
put key2 val2
txn << value("key1") = "val1"\n\nput key1 new\nget key1\n\nput key1 else\n\n
txn << value("key1") = "val1"\n\nput key1 new\n\nput key1 else\nget key1\n\n
txn << value("key1") != "val1"\n\nget key1\n\n\n
txn << val("key1") > "a"\n\nget key1\n\n\n
txn << val("key1") < "a"\n\nget key1\n\nget key2\n\n
txn << version("key1") = "3"\n\nget key1\n\n\n
txn << ver("key1") > "1"\n\nget key1\n\n\n
txn << create("key1") = "2"\n\nget key1\n\n\n
txn << c("key1") < "3"\n\nget key1\n\n\n
txn << mod("key1") = "5"\n\nget key1\n\n\n
txn << m("key1") != "5"\n\nget key1\n\n\n
txn << lease("key1") = "0"\n\nget key1\n\n\n
txn << create("absent") = "0"\n\nput absent 1\n\nget absent\n\n
txn << create("absent") = "0"\n\nput absent 1\n\nget absent\n\n
txn << mod("key1") > "0"\nmod("key2") > "0"\n\nget key1\nget key2\n\n\n
txn << \nput many/1 a\nput many/2 b\nput many/3 c\n\n\n
txn << \nget many/ --prefix\nget many/1 --keys-only\ndel many/ --prefix --prev-kv\nget many/ --prefix\n\n\n
txn << \n\n\n
txn -w json << version("key1") = "3"\n\nput key1 j\nget key1\ndel key2 --prev-kv\n\n\n
txn -w fields << version("key1") = "4"\n\nput key1 f --prev-kv\nget key1\ndel nothing\n\n\n
txn -w table << \nget key1\n\n\n
txn -i << version("key1") = "5"\n\nget key1\n\n\n
# ---- errors
txn << nonsense\n\n\n\n
txn << version("key1") ~ "5"\n\n\n\n
txn << version("key1") = "x"\n\n\n\n
txn << \nnonsense key1\n\n\n
txn << \nput key1\n\n\n
txn << \nput key1 1\nput key1 2\n\n\n
txn << \nput key1 1\ndel key1\n\n\n
txn << \nput absent2 --ignore-value\n\n\n
txn << \nput key1 1 --lease 999\n\n\n
txn << \nget key1 --rev 1000\n\n\n
get '' --prefix
txn extra
