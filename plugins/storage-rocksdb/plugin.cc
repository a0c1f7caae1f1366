#include "store.h"

namespace quorate::rocks {
using RocksEngine = plugin::EngineOf<RocksStore, Settings>;
}

QUORATE_PLUGIN(kStorage, "rocksdb", "0.1.0",
               ::quorate::plugin::kCapDeleteRange | ::quorate::plugin::kCapOwnsThreads,
               ::quorate::rocks::RocksEngine::create, ::quorate::rocks::RocksEngine::check);
