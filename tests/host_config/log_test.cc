// The log: the shape of lines, and outputs that do not take them.
#include "host/log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "host_config/process.h"

namespace quorate::host {
namespace {

using plugin::LogLevel;
using test::read_file;
using test::TempFolder;

constexpr uint64_t kTime = 1'136'214'245'123'456'789;  // 2006-01-02 15:04:05.123456789 UTC

TEST(Lines, Json) {
  EXPECT_EQ(format_line(LogFormat::kJson, LogLevel::kInfo, kTime, "host/main", "hello", ""),
            "{\"level\":\"info\",\"ts\":\"2006-01-02T15:04:05.123456Z\",\"caller\":\"host/"
            "main\",\"msg\":\"hello\"}");
  EXPECT_EQ(format_line(LogFormat::kJson, LogLevel::kFatal, kTime, "c", "m", "{\"a\":1,\"b\":[\"x\"]}"),
            "{\"level\":\"fatal\",\"ts\":\"2006-01-02T15:04:05.123456Z\",\"caller\":\"c\",\"msg\":\"m\","
            "\"a\":1,\"b\":[\"x\"]}");
  EXPECT_EQ(format_line(LogFormat::kJson, LogLevel::kInfo, kTime, "c", "m", "{}"),
            "{\"level\":\"info\",\"ts\":\"2006-01-02T15:04:05.123456Z\",\"caller\":\"c\",\"msg\":\"m\"}");
}

TEST(Lines, Console) {
  EXPECT_EQ(format_line(LogFormat::kConsole, LogLevel::kWarn, kTime, "c", "say \"x\"\n", "{\"a\":1}"),
            "2006-01-02T15:04:05.123456Z\twarn\tc\tsay \"x\"\\n\t{\"a\":1}");
  EXPECT_EQ(format_line(LogFormat::kConsole, LogLevel::kDebug, kTime, "c", "m", ""),
            "2006-01-02T15:04:05.123456Z\tdebug\tc\tm");
}

// Whatever a peer or a plugin puts into it, a line is one line of JSON.
TEST(Lines, Escaping) {
  EXPECT_EQ(json_string("a\"b\\c\n\r\t\x01\x7f"), "\"a\\\"b\\\\c\\n\\r\\t\\u0001\\u007f\"");
  EXPECT_EQ(json_string("gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80"), "\"gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80\"");
  for (const char* wrong : {"\xff", "\xc0", "\xc3", "\xed\xa0\x80", "\xf5"}) {
    std::string text = json_string(wrong);
    EXPECT_EQ(text.find(wrong), std::string::npos);
    EXPECT_NE(text.find("\xef\xbf\xbd"), std::string::npos);
  }
  EXPECT_EQ(json_string("\xf0\x80\x80\x80").find('\x80'), std::string("\"\xef\xbf\xbd\"").find('\x80'));
  std::string line = format_line(LogFormat::kJson, LogLevel::kInfo, kTime, "c", "m", "{\"a\":\n1}");
  EXPECT_EQ(line.find('\n'), std::string::npos);
  EXPECT_NE(line.find("\"fields\":\"{\\\"a\\\":\\n1}\""), std::string::npos) << line;
  EXPECT_EQ(json_fields({{"a", "\""}, {"b", ""}}), "{\"a\":\"\\\"\",\"b\":\"\"}");
}

TEST(Lines, Levels) {
  for (const char* name : {"debug", "info", "warn", "error", "panic", "fatal"}) {
    LogLevel level{};
    ASSERT_TRUE(parse_level(name, &level)) << name;
    EXPECT_STREQ(level_name(level), name);
  }
  LogLevel level{};
  EXPECT_FALSE(parse_level("INFO", &level));
}

std::unique_ptr<LogSink> open_sink(const LogOptions& options) {
  std::unique_ptr<LogSink> sink;
  plugin::Status status = LogSink::open(options, &sink);
  EXPECT_TRUE(status.ok()) << status.text();
  return sink;
}

LogOptions to(std::vector<std::string> outputs) {
  LogOptions options;
  options.outputs = std::move(outputs);
  return options;
}

TEST(Sink, WritesToEveryOutputWhatItsLevelLetsPass) {
  TempFolder folder;
  LogOptions options = to({folder / "a.log", folder / "b.log"});
  options.level = LogLevel::kWarn;
  {
    std::unique_ptr<LogSink> sink = open_sink(options);
    plugin::Ref<plugin::Log> log = sink->named("part");
    EXPECT_FALSE(log->enabled(LogLevel::kInfo));
    EXPECT_TRUE(log->enabled(LogLevel::kWarn));
    log->write(LogLevel::kInfo, {"no", 2}, {});
    log->write(LogLevel::kError, {"yes", 3}, {"{\"a\":1}", 7});
    EXPECT_TRUE(sink->flush(10'000));
    EXPECT_EQ(sink->dropped(), 0u);
  }
  std::string a = read_file(folder / "a.log");
  EXPECT_EQ(a, read_file(folder / "b.log"));
  EXPECT_EQ(a.rfind("{\"level\":\"error\",\"ts\":\"", 0), 0u) << a;
  EXPECT_NE(a.find("\"caller\":\"part\",\"msg\":\"yes\",\"a\":1}\n"), std::string::npos) << a;
  EXPECT_EQ(std::count(a.begin(), a.end(), '\n'), 1);
  struct stat info {};
  ASSERT_EQ(stat((folder / "a.log").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  std::unique_ptr<LogSink> none;
  plugin::Status status = LogSink::open(to({folder / "no/such/x.log"}), &none);
  EXPECT_NE(std::string(status.text()).find(folder / "no/such/x.log"), std::string::npos) << status.text();
}

TEST(Sink, ThreadsWriteInOneOrderOnEveryOutput) {
  TempFolder folder;
  const std::string a = folder / "a.log", b = folder / "b.log", c = folder / "c.log";
  LogOptions options;
  options.outputs = {a, b, c};
  std::unique_ptr<LogSink> log;
  ASSERT_TRUE(LogSink::open(options, &log).ok());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&log, t] {
      for (int i = 0; i < 500; ++i)
        log->write(LogLevel::kInfo, "test", std::to_string(t) + " " + std::to_string(i), "");
    });
  }
  for (std::thread& t : threads) t.join();
  ASSERT_TRUE(log->flush(10'000));
  EXPECT_EQ(read_file(a), read_file(b));
  EXPECT_EQ(read_file(a), read_file(c));
}

TEST(Sink, AppendsAndRotates) {
  TempFolder folder;
  std::string file = folder.write("server.log", "before\n");
  LogOptions options = to({file});
  options.rotate = true;
  options.rotation.max_bytes = 1000;
  options.rotation.max_backups = 2;
  {
    std::unique_ptr<LogSink> sink = open_sink(options);
    for (int i = 0; i < 100; ++i) {
      sink->write(LogLevel::kInfo, "c", std::string(100, 'x'), "");
      // Names of old files have milliseconds in them; two in one would be one.
      if (i % 5 == 4) std::this_thread::sleep_for(std::chrono::milliseconds(2));
      ASSERT_TRUE(sink->flush(10'000));
    }
  }
  size_t old = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    EXPECT_LE(entry.file_size(), 1000u) << entry.path();
    std::string name = entry.path().filename();
    if (name == "server.log") continue;
    ++old;
    EXPECT_EQ(name.rfind("server-2", 0), 0u) << name;
    EXPECT_EQ(name.size(), std::string("server-2006-01-02T15-04-05.000.log").size()) << name;
  }
  EXPECT_EQ(old, 2u);
}

// Gives the test's own standard error another descriptor for as long as it lives.
class Stderr {
 public:
  explicit Stderr(int fd) : saved_(dup(STDERR_FILENO)) { dup2(fd, STDERR_FILENO); }
  ~Stderr() {
    dup2(saved_, STDERR_FILENO);
    close(saved_);
  }

 private:
  int saved_;
};

TEST(Sink, APipeThatNobodyReadsStopsNobody) {
  int pipe_fds[2];
  ASSERT_EQ(pipe(pipe_fds), 0);
  std::unique_ptr<LogSink> sink;
  {
    Stderr redirect(pipe_fds[1]);
    sink = open_sink({});
  }
  int flags = fcntl(pipe_fds[1], F_GETFL);
  auto begin = std::chrono::steady_clock::now();
  constexpr int kLines = 60'000;
  for (int i = 0; i < kLines; ++i) sink->write(LogLevel::kInfo, "c", std::string(100, 'x'), "");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
  EXPECT_GT(sink->dropped(), 0u);
  EXPECT_FALSE(sink->flush(10));
  EXPECT_EQ(fcntl(pipe_fds[1], F_GETFL), flags);
  // Someone reads after all: what was kept comes whole, and then how much was not.
  std::string got;
  uint64_t dropped = sink->dropped();
  std::string told = "\"count\":" + std::to_string(dropped) + "}";
  close(pipe_fds[1]);
  while (got.find(told) == std::string::npos) {
    char buffer[65536];
    ssize_t n = ::read(pipe_fds[0], buffer, sizeof buffer);
    ASSERT_GT(n, 0) << "the count never came";
    got.append(buffer, static_cast<size_t>(n));
  }
  size_t lines = static_cast<size_t>(std::count(got.begin(), got.end(), '\n'));
  EXPECT_GE(lines + dropped, static_cast<size_t>(kLines));
  EXPECT_NE(got.find("log lines were dropped"), std::string::npos);
  close(pipe_fds[0]);
}

TEST(Sink, EndsThoughAPipeIsFull) {
  int pipe_fds[2];
  ASSERT_EQ(pipe(pipe_fds), 0);
  std::unique_ptr<LogSink> sink;
  {
    Stderr redirect(pipe_fds[1]);
    sink = open_sink({});
  }
  for (int i = 0; i < 3000; ++i) sink->write(LogLevel::kInfo, "c", std::string(100, 'x'), "");
  auto begin = std::chrono::steady_clock::now();
  sink.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
  close(pipe_fds[0]);
  close(pipe_fds[1]);
}

TEST(Sink, AReaderThatLeavesRaisesNoSignal) {
  struct sigaction fatal {};
  fatal.sa_handler = SIG_DFL;
  struct sigaction before {};
  sigaction(SIGPIPE, &fatal, &before);
  int pipe_fds[2];
  ASSERT_EQ(pipe(pipe_fds), 0);
  {
    std::unique_ptr<LogSink> sink;
    {
      Stderr redirect(pipe_fds[1]);
      sink = open_sink({});
    }
    close(pipe_fds[0]);
    for (int i = 0; i < 100; ++i) sink->write(LogLevel::kInfo, "c", "into the void", "");
    EXPECT_TRUE(sink->flush(10'000));  // given up, not stuck
  }
  close(pipe_fds[1]);
  sigaction(SIGPIPE, &before, nullptr);
}

TEST(Sink, ATerminalKeepsItsFlags) {
  int master = posix_openpt(O_RDWR | O_NOCTTY);
  if (master < 0) GTEST_SKIP() << "no pseudo-terminals here";
  ASSERT_EQ(grantpt(master), 0);
  ASSERT_EQ(unlockpt(master), 0);
  int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
  ASSERT_GE(slave, 0);
  int flags = fcntl(slave, F_GETFL);
  {
    std::unique_ptr<LogSink> sink;
    {
      Stderr redirect(slave);
      sink = open_sink({});
    }
    sink->write(LogLevel::kInfo, "c", "on a terminal", "");
    EXPECT_TRUE(sink->flush(10'000));
    // Far more than a terminal takes that nobody reads.
    for (int i = 0; i < 5000; ++i) sink->write(LogLevel::kInfo, "c", std::string(100, 'x'), "");
    EXPECT_EQ(fcntl(slave, F_GETFL), flags);
  }
  EXPECT_EQ(fcntl(slave, F_GETFL), flags);
  char buffer[4096];
  ssize_t n = ::read(master, buffer, sizeof buffer);
  ASSERT_GT(n, 0);
  EXPECT_NE(std::string(buffer, static_cast<size_t>(n)).find("on a terminal"), std::string::npos);
  close(slave);
  close(master);
}

}  // namespace
}  // namespace quorate::host
