#include "host/main_signals.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <thread>

namespace quorate::host {
namespace {

sigset_t handled() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

int wait_for_signal() {
  sigset_t set = handled();
  int number = 0;
  while (sigwait(&set, &number) != 0) {
  }
  return number;
}

}  // namespace

void block_signals() {
  sigset_t set = handled();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

void handle_signals(plugin::Log* log, UniqueFunction<void(const char*)> on_first) {
  std::thread([log, on_first = std::move(on_first)]() mutable {
    pthread_setname_np(pthread_self(), "signals");
    int number = wait_for_signal();
    on_first(number == SIGTERM ? "SIGTERM" : "SIGINT");
    number = wait_for_signal();
    constexpr char kMessage[] = "a second signal: ending at once";
    log->write(plugin::LogLevel::kWarn, {kMessage, sizeof kMessage - 1}, {});
    usleep(20'000);  // the log's threads write it, if they can
    _exit(128 + number);
  }).detach();
}

}  // namespace quorate::host
