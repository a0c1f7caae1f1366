// The log lines that peers can cause, at most a few a second for each cause, so that nobody floods the log.
// [serial]
#pragma once

#include <string>
#include <string_view>

#include "quorate/plugin/host.h"

namespace quorate::host {

// `text` as a JSON string with its quotes. Bytes that are not printable ASCII become \u00xx.
std::string json_quoted(std::string_view text);

class CauseLog {
 public:
  explicit CauseLog(plugin::Log* log) : log_(log) {}

  enum class Cause : uint32_t { kAbort, kUnknownProtocol, kAccept, kHandshake, kCount };
  // Writes "message {remote, error}", or counts it as left out; the next line of its cause tells how many
  // were.
  void write(Cause cause, uint64_t now_ns, std::string_view message, std::string_view remote,
             std::string_view error);

 private:
  static constexpr uint32_t kLinesPerSecond = 10;
  struct Window {
    uint64_t begin_ns = 0;
    uint32_t lines = 0;
    uint64_t left_out = 0;
  };
  plugin::Log* log_;
  Window windows_[static_cast<uint32_t>(Cause::kCount)];
};

}  // namespace quorate::host
