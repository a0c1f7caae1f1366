// A host's end of a connection for tests of transports: bytes in and out, virtual time, one flush per turn,
// and the contract of plugin/transport.h checked on the way.
#pragma once

#include <cstdint>
#include <deque>
#include <random>
#include <string>
#include <vector>

#include "quorate/plugin/transport.h"

namespace quorate::test {

// [loop] Not thread-safe. Hands nothing to its session before the session's own call has returned.
class FakeConnection final : public plugin::Counted<plugin::Connection> {
 public:
  explicit FakeConnection(plugin::TransportLimits limits = {}, uint64_t id = 1);

  // ---- plugin::Connection --------------------
  const plugin::ConnectionInfo& info() noexcept override { return info_; }
  uint64_t now_ns() noexcept override { return now_; }
  void send(plugin::View<plugin::Buffer> bytes) noexcept override;
  uint64_t queued_bytes() noexcept override { return outgoing_size_; }
  void request_flush() noexcept override { flush_requested_ = true; }
  void pause_read() noexcept override { paused_ = true; }
  void resume_read() noexcept override { paused_ = false; }
  void arm(uint64_t at_ns) noexcept override { armed_ = at_ns; }
  bool charge(int64_t bytes) noexcept override;
  void close(plugin::CloseMode mode) noexcept override;

  // ---- The test's side
  // ----------------------------------------------------------------------------------------- Takes over one
  // reference to the session.
  void attach(plugin::Session* session);
  plugin::Session* session() { return session_.get(); }
  void set_role(plugin::ListenerRole role) { info_.role = role; }
  // Gives the session bytes, in pieces of at most `piece` bytes. False: it is closed or failed.
  bool feed(std::string_view bytes, uint64_t piece = UINT64_MAX);
  bool eof();
  // The end of a turn of the loop: flushes until nobody asks any more.
  bool turn();
  // Takes what was sent, up to `most` bytes; tells the session when its queue has fallen to half of the mark.
  std::string take(uint64_t most = UINT64_MAX);
  // Moves time on, firing the timer whenever it is due.
  void advance(uint64_t ns);
  void set_now(uint64_t now_ns) { now_ = now_ns; }
  // Ends the connection: on_closed, once.
  void lose(const char* why = "connection reset by peer");

  bool closed() const { return closed_; }  // on_closed was called
  bool close_asked() const { return close_asked_; }
  bool aborted() const { return aborted_; }
  bool failed() const { return !failure_.empty(); }
  const std::string& failure() const { return failure_; }
  uint64_t armed() const { return armed_; }
  uint64_t sends() const { return sends_; }
  uint64_t shared_bytes() const { return shared_bytes_; }  // sent in buffers that someone else holds too
  int64_t charged() const { return charged_; }
  int64_t peak_charge() const { return peak_charge_; }
  void set_budget(int64_t bytes) { budget_ = bytes; }
  plugin::ConnectionInfo& mutable_info() { return info_; }
  const plugin::TransportLimits& limits() const { return limits_; }

 private:
  bool check(const plugin::Status& status);

  plugin::TransportLimits limits_;
  plugin::ConnectionInfo info_;
  plugin::Ref<plugin::Session> session_;
  uint64_t now_ = 1'000'000'000;
  std::deque<std::string> outgoing_;
  uint64_t outgoing_size_ = 0;
  bool above_mark_ = false;
  bool flush_requested_ = false;
  bool paused_ = false;
  bool in_session_ = false;
  bool closed_ = false;
  bool close_asked_ = false;
  bool aborted_ = false;
  std::string failure_;
  uint64_t armed_ = 0;
  uint64_t sends_ = 0;
  uint64_t shared_bytes_ = 0;
  int64_t charged_ = 0;
  int64_t peak_charge_ = 0;
  int64_t budget_ = INT64_MAX;
};

// Carries bytes between two connections until both are quiet, in random pieces when `random` is given.
void carry(FakeConnection* a, FakeConnection* b, std::mt19937_64* random = nullptr);

}  // namespace quorate::test
