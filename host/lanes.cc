#include "host/lanes.h"

#include <pthread.h>
#include <signal.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "base/assert.h"

namespace quorate::host {

void become_helper_thread(const char* name) {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGPIPE, SIGCHLD, SIGWINCH})
    sigaddset(&set, signal);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  pthread_setname_np(pthread_self(), name);
}

void run_beside_each_other(std::span<Task> work) {
  std::vector<std::thread> threads;
  size_t started = work.empty() ? 0 : 1;
  try {
    for (; started < work.size(); ++started) {
      threads.emplace_back([&task = work[started]] {
        become_helper_thread("start");
        task();
      });
    }
  } catch (const std::system_error&) {
    // No more threads: what is left is done here.
  }
  if (!work.empty()) work[0]();
  for (size_t i = started; i < work.size(); ++i) work[i]();
  for (std::thread& t : threads) t.join();
}

struct Lanes::Queue {
  struct Item {
    Task work;
    Task done;
  };

  Executor* executor = nullptr;
  const char* name = "";
  uint32_t limit = 1;  // threads

  std::mutex mutex;
  std::condition_variable wake;
  std::deque<Item> items;
  std::vector<std::thread> threads;
  uint32_t idle = 0;
  bool stopping = false;

  void submit(Task work, Task done) {
    bool notify = false;
    {
      std::lock_guard lock(mutex);
      items.push_back({std::move(work), std::move(done)});
      // A thread that is busy takes the next item by itself: waking one costs more than most work does.
      if (idle >= items.size()) {
        notify = true;
      } else if (threads.size() < limit) {
        start_thread();
      } else {
        notify = idle > 0;
      }
    }
    if (notify) wake.notify_one();
  }

  void start_thread() {
    try {
      threads.emplace_back([this] { run(); });
    } catch (const std::system_error&) {
      QUORATE_ASSERT(!threads.empty(),
                     "the system gives no more threads");  // else those that run do the work
    }
  }

  void run() {
    become_helper_thread(name);
    std::unique_lock lock(mutex);
    for (;;) {
      while (items.empty() && !stopping) {
        ++idle;
        wake.wait(lock);
        --idle;
      }
      if (items.empty()) return;
      Item item = std::move(items.front());
      items.pop_front();
      lock.unlock();
      item.work();
      item.work = nullptr;  // what it captured goes on this thread, before `done` may look for it
      if (item.done) executor->post(std::move(item.done));
      lock.lock();
    }
  }

  void stop() {
    {
      std::lock_guard lock(mutex);
      stopping = true;
    }
    wake.notify_all();
    for (std::thread& t : threads) t.join();
    threads.clear();
  }
};

Lanes::Lanes(Executor* executor, uint32_t read_threads) {
  constexpr const char* kNames[kLanes] = {"wal", "engine", "engine-sync", "read", "bulk"};
  for (uint32_t i = 0; i < kLanes; ++i) {
    queues_[i] = std::make_unique<Queue>();
    queues_[i]->executor = executor;
    queues_[i]->name = kNames[i];
  }
  queues_[static_cast<uint32_t>(Lane::kRead)]->limit = read_threads == 0 ? 1 : read_threads;
}

Lanes::~Lanes() { finish(); }

void Lanes::finish() {
  for (auto& q : queues_) q->stop();
}

void Lanes::submit(Lane lane, Task work, Task done) {
  auto i = static_cast<uint32_t>(lane);
  QUORATE_ASSERT(i < kLanes, "a lane that does not exist");
  queues_[i]->submit(std::move(work), std::move(done));
}

}  // namespace quorate::host
