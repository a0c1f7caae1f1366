#include "host/loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "base/assert.h"
#include "host/lanes.h"
#include "host/timers.h"

namespace quorate::host {
namespace {

namespace asio = boost::asio;

constexpr int kEventsPerTurn = 256;
constexpr uint32_t kTurnsWithoutAsio = 8;

uint64_t read_clock(clockid_t id) {
  timespec t{};
  clock_gettime(id, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(t.tv_nsec);
}

uint64_t real_monotonic_ns() { return read_clock(CLOCK_MONOTONIC); }

thread_local const void* this_threads_loop = nullptr;

// Reports turns that take too long, from a thread that the loop cannot hold up.
class Watchdog {
 public:
  Watchdog(uint64_t limit_ns, plugin::Log* log) : limit_ns_(limit_ns), log_(log) {
    if (limit_ns_ != 0) thread_ = std::thread([this] { run(); });
  }
  ~Watchdog() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

  void busy(uint64_t now_ns) { busy_since_.store(now_ns, std::memory_order_relaxed); }
  void idle() { busy_since_.store(0, std::memory_order_relaxed); }
  bool is_stalled() const {
    uint64_t since = busy_since_.load(std::memory_order_relaxed);
    return limit_ns_ != 0 && since != 0 && real_monotonic_ns() > since + limit_ns_;
  }

 private:
  void run() {
    become_helper_thread("watchdog");
    uint64_t reported = 0;  // busy_since_ of the stall that the log knows of
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      wake_.wait_for(lock, std::chrono::nanoseconds(limit_ns_ / 2 + 1));
      uint64_t since = busy_since_.load(std::memory_order_relaxed);
      uint64_t now = real_monotonic_ns();
      if (reported != 0 && since != reported) {
        write("the loop runs again", now - reported);
        reported = 0;
      }
      if (since != 0 && reported == 0 && now > since + limit_ns_) {
        reported = since;
        write("the loop is stalled: one turn takes too long", now - since);
      }
    }
  }

  void write(const char* text, uint64_t took_ns) {
    if (log_ == nullptr) return;
    std::string fields = "{\"took-ms\":" + std::to_string(took_ns / 1'000'000) + "}";
    log_->write(plugin::LogLevel::kWarn, {text, std::strlen(text)}, {fields.data(), fields.size()});
  }

  const uint64_t limit_ns_;
  plugin::Log* const log_;
  std::atomic<uint64_t> busy_since_{0};
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace

struct AsioExecutor::Impl final : public Readiness {
  class LoopClock final : public plugin::Counted<Clock> {
   public:
    explicit LoopClock(Impl* loop) : loop_(loop) {}
    uint64_t monotonic_ns() noexcept override {
      return this_threads_loop == loop_ ? loop_->now_ns : real_monotonic_ns();
    }
    uint64_t unix_ns() noexcept override { return read_clock(CLOCK_REALTIME); }

   private:
    Impl* loop_;
  };

  Impl(AsioExecutor* self, const LoopOptions& options)
      : io(1),
        guard(io.get_executor()),
        set(io, epoll_create1(EPOLL_CLOEXEC)),
        wake_fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        clock(plugin::make<LoopClock>(this)),
        watchdog(options.stall_ns, options.log),
        lanes(std::make_unique<Lanes>(self, options.read_threads)) {
    QUORATE_ASSERT(wake_fd >= 0 && watch(wake_fd, this), "no descriptors left for the loop");
    wait_for_set();
  }
  ~Impl() { close(wake_fd); }

  // Nothing to do: the eventfd only ends the wait. It is edge-triggered and so need not be read.
  void on_ready(uint32_t) noexcept override {}

  bool watch(int fd, Readiness* who) {
    epoll_event e{};
    e.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    e.data.ptr = who;
    return epoll_ctl(set.native_handle(), EPOLL_CTL_ADD, fd, &e) == 0;
  }

  void unwatch(int fd, Readiness* who) {
    epoll_ctl(set.native_handle(), EPOLL_CTL_DEL, fd, nullptr);
    for (int i = next_event; i < event_count; ++i)
      if (events[i].data.ptr == who) events[i].data.ptr = nullptr;
  }

  void wait_for_set() {
    set.async_wait(asio::posix::stream_descriptor::wait_read, [this](const boost::system::error_code& error) {
      if (error) return;
      set_is_ready = true;
      wait_for_set();
    });
  }

  // Blocks until Asio has something, a timer is due or a task was posted.
  void wait() {
    if (must_not_block || !may_sleep()) {
      must_not_block = false;
      set_is_ready = true;  // look without being told
      // What Asio itself waits for is rare: it has its share of a busy loop, but not a system call in every
      // turn.
      if (++turns_without_asio >= kTurnsWithoutAsio) {
        turns_without_asio = 0;
        io.poll_one();
      }
      return;
    }
    turns_without_asio = 0;
    watchdog.idle();
    uint64_t deadline = timers.next();
    if (deadline == 0)
      io.run_one();
    else
      io.run_one_until(std::chrono::steady_clock::time_point(std::chrono::nanoseconds(deadline)));
    asleep.store(false, std::memory_order_relaxed);
  }

  // From here on a post wakes the loop.
  bool may_sleep() {
    if (!deferred.empty()) return false;  // by start-up code, before the first turn
    std::lock_guard lock(mutex);
    if (!posted.empty() || stopping) return false;
    asleep.store(true, std::memory_order_relaxed);
    return true;
  }

  void post(Task task) {
    bool wake = false;
    {
      std::lock_guard lock(mutex);
      posted.push_back(std::move(task));
      wake = asleep.exchange(false, std::memory_order_relaxed);
    }
    if (wake) wake_up();
  }
  void wake_up() {
    uint64_t one = 1;
    [[maybe_unused]] ssize_t n = write(wake_fd, &one, sizeof one);  // full: then it is awake already
  }

  void run_ready() {
    if (!set_is_ready) return;
    set_is_ready = false;
    event_count = epoll_wait(set.native_handle(), events, kEventsPerTurn, 0);
    for (next_event = 0; next_event < event_count;) {
      epoll_event& e = events[next_event++];
      if (e.data.ptr != nullptr) static_cast<Readiness*>(e.data.ptr)->on_ready(e.events);
    }
    if (event_count == kEventsPerTurn) must_not_block = true;
    event_count = 0;
  }

  void run_posted() {
    {
      std::lock_guard lock(mutex);
      running.swap(posted);
    }
    for (Task& t : running) {
      t();
      t = nullptr;
    }
    running.clear();
  }

  void run_timers() {
    Task task;
    uint64_t limit = timers.mark();
    while (timers.take_due(now_ns, limit, &task)) {
      task();
      task = nullptr;
    }
  }

  void run_deferred() {
    do {
      while (!deferred.empty()) {
        running.swap(deferred);
        for (Task& t : running) {
          t();
          t = nullptr;
        }
        running.clear();
      }
      for (size_t i = 0; i < turn_ends.size(); ++i) turn_ends[i]->on_turn_end();
    } while (!deferred.empty());
  }

  void turn(bool block) {
    if (!block) {
      must_not_block = true;
      turns_without_asio = kTurnsWithoutAsio;
    }
    in_turn = true;  // Asio's handlers run inside wait()
    wait();
    now_ns = real_monotonic_ns();
    watchdog.busy(now_ns);
    run_ready();
    run_posted();
    run_timers();
    run_deferred();
    in_turn = false;
    turns.fetch_add(1, std::memory_order_relaxed);
  }

  asio::io_context io;
  asio::executor_work_guard<asio::io_context::executor_type> guard;
  asio::posix::stream_descriptor set;  // our epoll set
  int wake_fd;
  plugin::Ref<LoopClock> clock;

  // Touched by the loop only.
  Timers timers;
  std::vector<Task> deferred;
  std::vector<Task> running;  // the batch that runs; kept for its capacity
  std::vector<TurnEnd*> turn_ends;
  epoll_event events[kEventsPerTurn];
  int event_count = 0;
  int next_event = 0;
  bool set_is_ready = false;
  bool must_not_block = false;
  bool in_turn = false;
  uint32_t turns_without_asio = 0;
  uint64_t now_ns = real_monotonic_ns();

  std::mutex mutex;  // guards posted and stopping, and orders `asleep`
  std::vector<Task> posted;
  bool stopping = false;
  std::atomic<bool> asleep{false};
  std::atomic<uint64_t> turns{0};

  Watchdog watchdog;
  std::unique_ptr<Lanes> lanes;  // last: its threads post here until they are joined
};

AsioExecutor::AsioExecutor(const LoopOptions& options) : impl_(std::make_unique<Impl>(this, options)) {}

AsioExecutor::~AsioExecutor() {
  impl_->lanes.reset();
  // Tasks may hold the last reference to something that cancels timers or defers: let them go while all of
  // that works.
  for (bool more = true; more;) {
    std::vector<Task> dropped;
    {
      std::lock_guard lock(impl_->mutex);
      dropped.swap(impl_->posted);
    }
    more = !dropped.empty();
    dropped.clear();
    dropped.swap(impl_->deferred);
    more = more || !dropped.empty();
  }
}

void AsioExecutor::run() {
  const void* outer = std::exchange(this_threads_loop, impl_.get());
  for (;;) {
    {
      std::lock_guard lock(impl_->mutex);
      if (std::exchange(impl_->stopping, false)) break;
    }
    impl_->turn(true);
  }
  impl_->watchdog.idle();
  this_threads_loop = outer;
}

void AsioExecutor::turn(bool wait) {
  const void* outer = std::exchange(this_threads_loop, impl_.get());
  impl_->turn(wait);
  impl_->watchdog.idle();
  this_threads_loop = outer;
}

void AsioExecutor::stop() {
  {
    std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
    impl_->asleep.store(false, std::memory_order_relaxed);
  }
  impl_->wake_up();
}

bool AsioExecutor::on_loop() const { return this_threads_loop == impl_.get(); }
bool AsioExecutor::is_stalled() const { return impl_->watchdog.is_stalled(); }
uint64_t AsioExecutor::turns() const { return impl_->turns.load(std::memory_order_relaxed); }

void AsioExecutor::post(Task task) { impl_->post(std::move(task)); }
void AsioExecutor::defer(Task task) { impl_->deferred.push_back(std::move(task)); }
TimerId AsioExecutor::at(uint64_t monotonic_ns, Task task) {
  return impl_->timers.add(monotonic_ns, std::move(task));
}
void AsioExecutor::cancel(TimerId id) { impl_->timers.cancel(id); }
void AsioExecutor::offload(Lane lane, Task work, Task done) {
  impl_->lanes->submit(lane, std::move(work), std::move(done));
}

void AsioExecutor::finish_lanes() { impl_->lanes->finish(); }
void AsioExecutor::run_all(std::span<Task> work) { run_beside_each_other(work); }

Clock& AsioExecutor::clock() { return *impl_->clock; }

bool AsioExecutor::watch(int fd, Readiness* who) { return impl_->watch(fd, who); }
void AsioExecutor::unwatch(int fd, Readiness* who) { impl_->unwatch(fd, who); }
void AsioExecutor::add_turn_end(TurnEnd* who) { impl_->turn_ends.push_back(who); }
void AsioExecutor::remove_turn_end(TurnEnd* who) { std::erase(impl_->turn_ends, who); }
void AsioExecutor::again() { impl_->must_not_block = true; }
void AsioExecutor::need_turn_end() {
  if (!impl_->in_turn) again();
}
boost::asio::io_context& AsioExecutor::context() { return impl_->io; }

}  // namespace quorate::host
