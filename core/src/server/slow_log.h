// Lines about what was slow: unary calls, and entries that took long to apply. Messages and fields are those
// of etcd 3.7.1, so that what reads its log reads ours. Keys are shown; of values only the size.
//
// [loop] Unless something was slow, a look at the clock is all that this costs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "api/errors.h"
#include "api/methods.h"
#include "quorate/options.h"
#include "quorate/runtime.h"

namespace quorate::server {

// As Go prints a time.Duration: "1.5s", "301.25ms", "1m40s".
std::string go_duration(uint64_t ns);

class SlowLog {
 public:
  // `runtime` and `stopwatch` are borrowed. The stopwatch moves within a turn of the loop.
  SlowLog(const Runtime& runtime, Clock* stopwatch, const NodeOptions& options)
      : log_(*runtime.log),
        wall_(runtime.executor->clock()),
        stopwatch_(*stopwatch),
        apply_ns_(options.warning_apply_ns),
        unary_ns_(options.warning_unary_ns) {}

  uint64_t now_ns() const { return stopwatch_.monotonic_ns(); }

  // A unary call is over. `request` and `response` are encoded; no response: it failed.
  void unary(const api::Method& method, uint64_t began_ns, const plugin::Buffer& request,
             const plugin::Buffer* response, plugin::ByteView remote) {
    const uint64_t took = since(began_ns);
    if (took > unary_ns_) slow_unary(method, took, request, response, remote);
    if (took > apply_ns_) slow_read(method, took, request, response);
  }
  // An entry (as it is in the log) was applied.
  void applied(uint64_t began_ns, const plugin::Buffer& entry, const std::optional<api::RpcError>& error) {
    const uint64_t took = since(began_ns);
    if (took > apply_ns_) slow_apply(took, entry, error);
  }

 private:
  uint64_t since(uint64_t began_ns) const {
    const uint64_t now = now_ns();
    return now > began_ns ? now - began_ns : 0;
  }
  void slow_unary(const api::Method&, uint64_t took, const plugin::Buffer& request,
                  const plugin::Buffer* response, plugin::ByteView remote);
  // Reads outside the log count as applies in etcd.
  void slow_read(const api::Method&, uint64_t took, const plugin::Buffer& request,
                 const plugin::Buffer* response);
  void slow_apply(uint64_t took, const plugin::Buffer& entry, const std::optional<api::RpcError>& error);
  void took_too_long(uint64_t took, std::string_view prefix, std::string_view request,
                     std::string_view response, std::string_view error);

  Log& log_;
  Clock& wall_;
  Clock& stopwatch_;
  const uint64_t apply_ns_;
  const uint64_t unary_ns_;
};

}  // namespace quorate::server
