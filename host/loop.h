// The loop that a node lives on: an Executor on Boost.Asio's io_context, with helper threads beside it.
//
// One turn of the loop: wait · readiness of sockets · posted tasks · timers that are due · deferred tasks,
// then the turn-end hooks (where the sockets send what the turn produced), both until nothing is left. The
// clock is read once per turn.
//
// Sockets do not go through Asio one by one. Waiting for one with Asio costs a system call (epoll_ctl) and a
// queued operation per wait; here they are registered once, edge-triggered, in an epoll set of our own that
// Asio watches as a single descriptor. So a busy turn pays Asio's price once, however many sockets are ready.
//
// Measured (loopback, an echo of 300 bytes, of which sending is most): with 100 connections 7.5 us of CPU a
// request, all of Net's work included; bare async_wait or async_read_some with the same sendmsg 7.8. A lone
// connection pays 1.5 us more than bare.
#pragma once

#include <memory>

#include "quorate/runtime.h"

namespace boost::asio {
class io_context;
}

namespace quorate::host {

// Whoever waits for a descriptor.
class Readiness {
 public:
  // [loop] `events` as epoll gives them. Edge-triggered: comes once per change, so read and write until
  // EAGAIN.
  virtual void on_ready(uint32_t events) noexcept = 0;

 protected:
  ~Readiness() = default;
};

// Work for the end of a turn. See AsioExecutor::add_turn_end.
class TurnEnd {
 public:
  virtual void on_turn_end() noexcept = 0;

 protected:
  ~TurnEnd() = default;
};

struct LoopOptions {
  uint32_t read_threads = 2;  // of Lane::kRead; every other lane has one thread
  // A turn longer than this is reported to the log by the watchdog, and is_stalled() answers true. 0: no
  // watchdog.
  uint64_t stall_ns = 1'000'000'000;
  plugin::Log* log = nullptr;  // borrowed; may be null
};

class AsioExecutor final : public Executor {
 public:
  explicit AsioExecutor(const LoopOptions& options = {});
  // REQUIRES: run() is not running. Finishes the work that helper threads were given, then joins them. Tasks
  // that have not run are destroyed without running.
  ~AsioExecutor() override;

  // Runs turns until stop(). The calling thread becomes the loop's; may be called again afterwards.
  void run();
  // [loop] One turn; `wait`: block until there is something to do. For tests and for start-up.
  void turn(bool wait);
  void stop();  // [thread-safe] run() returns after the turn it is in
  // REQUIRES: run() is not running. Finishes the work that helper threads were given and joins them, so that
  // what they worked on may be closed. Their `done` tasks are posted as ever.
  void finish_lanes();
  bool on_loop() const;     // [thread-safe] whether the caller is the loop's thread
  bool is_stalled() const;  // [thread-safe] the turn that runs has taken longer than stall_ns
  uint64_t turns() const;   // [thread-safe] turns so far

  // Executor
  void post(Task task) override;
  void defer(Task task) override;
  TimerId at(uint64_t monotonic_ns, Task task) override;
  void cancel(TimerId id) override;
  // Lanes keep their order; a done task is posted, so it comes after those posted before.
  void offload(Lane lane, Task work, Task done) override;
  // One thread each, this one included.
  void run_all(std::span<Task> work) override;
  // monotonic_ns() on the loop's thread is the time at which this turn's waiting ended; elsewhere the real
  // one.
  Clock& clock() override;

  // [loop] Registers a descriptor for reading and writing, edge-triggered. False with errno set: no memory,
  // say.
  bool watch(int fd, Readiness* who);
  // [loop] Before the descriptor is closed. `who` is not called again, not even for events of this turn.
  void unwatch(int fd, Readiness* who);
  // [loop] Calls `who` in every turn after the deferred tasks; tasks that it defers still run in this turn,
  // and then it is called again.
  void add_turn_end(TurnEnd* who);
  void remove_turn_end(TurnEnd* who);
  // [loop] The next wait does not block: for work that was left over on purpose, so that others come first.
  void again();
  // [loop] Makes sure that turn-end hooks run soon even if nothing happens: for callers outside any turn.
  void need_turn_end();

  // For what is rare enough to go through Asio: acceptors, connecting, signals. One thread runs it.
  boost::asio::io_context& context();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace quorate::host
