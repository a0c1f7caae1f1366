#include "options.h"

#include "quorate/plugin/options.h"
#include "wire.h"

namespace quorate::tcp {

plugin::Status parse_options(plugin::View<plugin::Option> given, Options* into) {
  Options parsed;
  plugin::OptionTable table;
  table.size("max-frame", &parsed.max_frame, kLeastFrame, kMostFrame);
  table.size("frame-target", &parsed.frame_target, 1u << 10, kMostFrame);
  // The floor keeps one whole frame in flight.
  table.size("stream-window", &parsed.stream_window, 16u << 10, 1u << 30);
  table.integer("stream-messages", &parsed.stream_messages, 1, 1u << 16);
  table.size("share-threshold", &parsed.share_threshold, 64, 1u << 20);
  table.integer("reset-burst", &parsed.reset_burst, 1, 1u << 30);
  table.integer("reset-rate", &parsed.reset_rate, 1, 1u << 30);
  table.integer("noise-burst", &parsed.noise_burst, 100, 1u << 30);
  table.integer("noise-rate", &parsed.noise_rate, 1, 1u << 30);
  plugin::Status status = table.apply(given);
  if (status.ok() && into != nullptr) *into = parsed;
  return status;
}

}  // namespace quorate::tcp
