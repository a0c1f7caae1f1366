#include "options.h"

#include <charconv>
#include <string>
#include <string_view>

namespace quorate::grpc {
namespace {

struct Rule {
  std::string_view key;
  uint32_t Options::*field;
  uint32_t least;
  uint32_t most;
};

constexpr Rule kRules[] = {
    {"header-table-size", &Options::header_table_size, 0, 1u << 16},
    // RFC 9113 6.9.2: a window is at most 2^31-1. The floor keeps one whole frame in flight.
    {"stream-window", &Options::stream_window, 16u << 10, 1u << 30},
    {"connection-window", &Options::connection_window, 65535, 1u << 30},
    {"share-threshold", &Options::share_threshold, 256, 1u << 20},
    {"reset-burst", &Options::reset_burst, 1, 1u << 30},
    {"reset-rate", &Options::reset_rate, 1, 1u << 30},
    {"noise-burst", &Options::noise_burst, 100, 1u << 30},
    {"noise-rate", &Options::noise_rate, 1, 1u << 30},
};

plugin::Status wrong(std::string_view key, std::string_view why) {
  return plugin::Status(plugin::Code::kInvalid,
                        "transport-grpc: option " + std::string(key) + ": " + std::string(why));
}

std::string_view text(plugin::ByteView view) {
  return view.empty() ? std::string_view() : std::string_view(view.chars(), view.size);
}

plugin::Status apply(const Rule& rule, std::string_view value, Options* into) {
  uint32_t number = 0;
  auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (value.empty() || error != std::errc() || end != value.data() + value.size()) {
    return wrong(rule.key, "\"" + std::string(value.substr(0, 64)) + "\" is not a number");
  }
  if (number < rule.least || number > rule.most) {
    return wrong(rule.key, std::to_string(number) + " is not between " + std::to_string(rule.least) +
                               " and " + std::to_string(rule.most));
  }
  into->*rule.field = number;
  return {};
}

}  // namespace

plugin::Status parse_options(plugin::View<plugin::Option> given, Options* into) {
  Options parsed;
  for (const plugin::Option& option : given) {
    std::string_view key = text(option.key);
    const Rule* found = nullptr;
    for (const Rule& rule : kRules) {
      if (rule.key == key) found = &rule;
    }
    if (found == nullptr) return wrong(key.substr(0, 64), "is not known");
    if (plugin::Status status = apply(*found, text(option.value), &parsed); !status.ok()) return status;
  }
  if (into != nullptr) *into = parsed;
  return {};
}

}  // namespace quorate::grpc
