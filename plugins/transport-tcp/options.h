// What [transport.options] of plugins.toml may set for this plugin.
#pragma once

#include <cstdint>

#include "quorate/plugin/abi.h"

namespace quorate::tcp {

struct Options {
  uint64_t max_frame = 64u << 10;      // bytes of one frame's payload that we take
  uint64_t frame_target = 16u << 10;   // bytes that a call sends before the next one's turn
  uint64_t stream_window = 64u << 10;  // bytes of messages that a peer may send on a call before core asks
  uint64_t stream_messages = 256;      // and messages
  uint64_t share_threshold = 512;      // pieces of messages from here on are sent without a copy
  uint64_t reset_burst = 2000;         // calls a peer may reset at once ...
  uint64_t reset_rate = 200;           // ... and per second after that
  uint64_t noise_burst = 10000;        // frames that move nothing forward, at once ...
  uint64_t noise_rate = 1000;          // ... and per second after that
};

// Invalid, with the option's name in the text, for a name, a number or a range that is wrong. `into` may be
// null.
plugin::Status parse_options(plugin::View<plugin::Option> given, Options* into);

}  // namespace quorate::tcp
