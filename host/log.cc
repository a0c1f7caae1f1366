#include "host/log.h"

#include <pthread.h>
#include <signal.h>
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "host/log_file.h"

namespace quorate::host {

using plugin::ByteView;
using plugin::Code;
using plugin::LogLevel;
using plugin::Status;

namespace {

spdlog::level::level_enum level_of(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
    default:
      return spdlog::level::critical;
  }
}

// spdlog's end of a target. Only the output's thread uses it.
class TargetSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  TargetSink(std::unique_ptr<LogTarget> target, const std::atomic<bool>* abandoned)
      : target_(std::move(target)), abandoned_(abandoned) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    target_->write({line.data(), line.size()}, *abandoned_);
  }
  void flush_() override {}

  std::unique_ptr<LogTarget> target_;
  const std::atomic<bool>* abandoned_;
};

uint64_t unix_now_ns() {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                   std::chrono::system_clock::now().time_since_epoch())
                                   .count());
}

std::string_view text(ByteView v) { return {v.chars(), static_cast<size_t>(v.size)}; }

}  // namespace

// A queue and the thread that empties it. Held by both, so that a thread that the kernel keeps in write() can
// be left behind.
class LogSink::Output {
 public:
  Output(std::unique_ptr<LogTarget> target, LogFormat format) : format_(format) {
    auto sink = std::make_shared<TargetSink>(std::move(target), &abandoned_);
    logger_ = std::make_unique<spdlog::logger>("quorate", sink);
    logger_->set_level(spdlog::level::trace);
    logger_->set_formatter(
        std::make_unique<spdlog::pattern_formatter>("%v", spdlog::pattern_time_type::utc, "\n"));
  }

  static void start(const std::shared_ptr<Output>& output) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);  // SIGPIPE, too: to a thread that blocks it, a write answers EPIPE
    pthread_sigmask(SIG_SETMASK, &all, &before);
    std::thread([output] { output->run(); }).detach();
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  void push(LogLevel level, const std::string& line) {
    std::lock_guard lock(mutex_);
    bool fits = lines_.size() < kMostLines && bytes_ + line.size() <= kMostBytes;
    if (!fits) {
      ++dropped_;
      ++dropped_total_;
      return;
    }
    tell_dropped();
    append(level, line);
  }

  bool flush(std::chrono::steady_clock::time_point until) {
    std::unique_lock lock(mutex_);
    uint64_t target = pushed_;
    return changed_.wait_until(lock, until, [&] { return written_ >= target; });
  }

  // Ends the thread; waits for it until then.
  void stop(std::chrono::steady_clock::time_point until) {
    flush(until);
    abandoned_ = true;
    std::unique_lock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
    changed_.wait_until(lock,
                        std::max(until, std::chrono::steady_clock::now() + std::chrono::milliseconds(100)),
                        [&] { return ended_; });
  }

  uint64_t dropped() const { return dropped_total_.load(); }

 private:
  static constexpr size_t kMostLines = 16384;
  static constexpr uint64_t kMostBytes = 4u << 20;
  struct Line {
    LogLevel level;
    std::string text;
  };

  // REQUIRES: mutex_ is held.
  void append(LogLevel level, std::string line) {
    bytes_ += line.size();
    lines_.push_back({level, std::move(line)});
    ++pushed_;
    changed_.notify_all();
  }

  // Queues the line about dropped ones at the place where they would have been. REQUIRES: mutex_ is held.
  void tell_dropped() {
    uint64_t count = std::exchange(dropped_, 0);
    if (count == 0) return;
    append(LogLevel::kWarn, format_line(format_, LogLevel::kWarn, unix_now_ns(), "host/log",
                                        "log lines were dropped: the output does not take them fast enough",
                                        "{\"count\":" + std::to_string(count) + "}"));
  }

  void run() {
    pthread_setname_np(pthread_self(), "log");
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [&] { return stopping_ || !lines_.empty(); });
      if (lines_.empty()) break;
      std::vector<Line> batch = std::exchange(lines_, {});
      lock.unlock();
      for (const Line& line : batch) logger_->log(level_of(line.level), spdlog::string_view_t(line.text));
      lock.lock();
      // Only now: what is being written counts against the bound, too.
      for (const Line& line : batch) bytes_ -= line.text.size();
      written_ += batch.size();
      if (lines_.empty()) tell_dropped();
      changed_.notify_all();
    }
    ended_ = true;
    changed_.notify_all();
  }

  const LogFormat format_;
  std::unique_ptr<spdlog::logger> logger_;
  std::atomic<bool> abandoned_{false};
  std::atomic<uint64_t> dropped_total_{0};
  std::mutex mutex_;  // of what follows
  std::condition_variable changed_;
  std::vector<Line> lines_;
  uint64_t bytes_ = 0;
  uint64_t pushed_ = 0;
  uint64_t written_ = 0;
  uint64_t dropped_ = 0;  // since the last line about it
  bool stopping_ = false;
  bool ended_ = false;
};

Status LogSink::open(const LogOptions& options, std::unique_ptr<LogSink>* out) {
  std::unique_ptr<LogSink> made(new LogSink);
  made->level_ = options.level;
  made->format_ = options.format;
  for (const std::string& name : options.outputs) {
    std::unique_ptr<LogTarget> target;
    bool is_stdout = name == "stdout";
    bool is_file = !is_stdout && name != "default" && name != "stderr";
    Status status = is_file ? LogTarget::file(name, options.rotate ? &options.rotation : nullptr, &target)
                            : LogTarget::duplicate(is_stdout ? STDOUT_FILENO : STDERR_FILENO, name, &target);
    if (!status.ok()) return status;
    made->outputs_.push_back(std::make_shared<Output>(std::move(target), options.format));
    Output::start(made->outputs_.back());
  }
  *out = std::move(made);
  return {};
}

LogSink::~LogSink() {
  auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
  for (const auto& output : outputs_) output->stop(until);
}

void LogSink::write(LogLevel level, std::string_view caller, std::string_view message,
                    std::string_view fields_json) {
  if (!enabled(level)) return;
  // Beyond this no line helps anybody.
  constexpr size_t kMost = 64u << 10;
  if (fields_json.size() > kMost) fields_json = "{\"fields\":\"too long\"}";
  // Threads that write at once: every output shows the same order, which is that of the times.
  std::lock_guard lock(order_);
  std::string line =
      format_line(format_, level, unix_now_ns(), caller, message.substr(0, kMost), fields_json);
  for (const auto& output : outputs_) output->push(level, line);
}

bool LogSink::flush(uint32_t milliseconds) {
  auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
  bool all = true;
  for (const auto& output : outputs_) all = output->flush(until) && all;
  return all;
}

uint64_t LogSink::dropped() const {
  uint64_t sum = 0;
  for (const auto& output : outputs_) sum += output->dropped();
  return sum;
}

namespace {

class NamedLog final : public plugin::Counted<plugin::Log> {
 public:
  NamedLog(LogSink* sink, std::string caller) : sink_(sink), caller_(std::move(caller)) {}
  bool enabled(LogLevel level) noexcept override { return sink_->enabled(level); }
  void write(LogLevel level, ByteView message, ByteView fields_json) noexcept override {
    sink_->write(level, caller_, text(message), text(fields_json));
  }
  void* query(const char* id) noexcept override {
    return std::string_view(id) == plugin::Log::kId ? static_cast<plugin::Log*>(this) : nullptr;
  }

 private:
  LogSink* sink_;
  std::string caller_;
};

}  // namespace

plugin::Ref<plugin::Log> LogSink::named(const std::string& caller) {
  return plugin::make<NamedLog>(this, caller);
}

}  // namespace quorate::host
