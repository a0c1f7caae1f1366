# lock and elect: recipes of the client's, over leases, transactions and watches.
start a lock mutex
until a mutex/
start b lock mutex
stop a
until b mutex/
stop b
lock mutex true
lock mutex --ttl 5 -- sh -c 'exit 3'
start e elect chair first
until e chair/
start l elect -l chair
until l chair/
start f elect chair second
stop e
until l second
until f chair/
stop f
stop l
get chair/ --prefix
get mutex/ --prefix
