// What [transport.options] of plugins.toml may set for this plugin.
#pragma once

#include <cstdint>

#include "quorate/plugin/abi.h"

namespace quorate::grpc {

struct Options {
  uint32_t header_table_size = 4096;      // bytes of HPACK state in each direction
  uint32_t stream_window = 64u << 10;     // bytes a peer may send on one call before core has asked for more
  uint32_t connection_window = 1u << 20;  // bytes in flight on a connection; reopened as bytes arrive
  uint32_t share_threshold = 4096;        // pieces of messages from here on are sent without a copy
  uint32_t reset_burst = 2000;            // streams a peer may reset at once ...
  uint32_t reset_rate = 200;              // ... and per second after that
  uint32_t noise_burst = 10000;           // frames that move nothing forward, at once ...
  uint32_t noise_rate = 1000;             // ... and per second after that
};

// Invalid with the option's name in the text for a name, a number or a range that is wrong. `into` may be
// null.
plugin::Status parse_options(plugin::View<plugin::Option> given, Options* into);

}  // namespace quorate::grpc
