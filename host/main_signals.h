// SIGTERM and SIGINT, taken by a thread of its own: also a loop that hangs can be ended.
#pragma once

#include "quorate/base/function.h"
#include "quorate/plugin/host.h"

namespace quorate::host {

// Before the first thread: every thread inherits it.
void block_signals();

// `on_first` runs on the signals' thread, with the signal's name; the second signal ends the process with 128
// + its number. For the life of the process.
void handle_signals(plugin::Log* log, UniqueFunction<void(const char* name)> on_first);

}  // namespace quorate::host
