#include "store.h"

namespace quorate::level {
using LevelEngine = plugin::EngineOf<LevelStore, Settings>;
}

QUORATE_PLUGIN(kStorage, "leveldb", "0.1.0", ::quorate::plugin::kCapOwnsThreads,
               ::quorate::level::LevelEngine::create, ::quorate::level::LevelEngine::check);
