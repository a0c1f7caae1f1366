#include "attack/siege.h"

#include <cinttypes>
#include <cstdio>
#include <filesystem>
#include <fstream>

namespace quorate::test {
namespace api = etcdserverpb;
namespace {

using Clock = std::chrono::steady_clock;

constexpr Millis kPatience{10000};  // until everything is back
constexpr Millis kSlowest{5000};    // that a bystander's round may take, with the attacker on the same cores
// Of the measure itself: what the bystander's writes take, tables that keep the size they once needed, pages
// that hold something that lives. RepeatedAttacksAddNothing shows that it does not add up.
constexpr uint64_t kNoise = 6 * kMiB;
constexpr uint64_t kFewRounds = 3;
constexpr uint64_t kLateThreads = 3;  // helpers that the server starts when their work first comes up

uint64_t number_after(const std::string& line) { return std::stoull(line.substr(line.find(':') + 1)); }

double mib(uint64_t bytes) { return static_cast<double>(bytes) / static_cast<double>(kMiB); }

// The highest that a process's memory gets.
class Peak {
 public:
  explicit Peak(pid_t pid)
      : thread_([this, pid] {
          while (!stop_) {
            highest_ = std::max(highest_.load(), Footprint::of(pid).memory);
            std::this_thread::sleep_for(Millis(2));
          }
        }) {}
  ~Peak() { stop(); }
  uint64_t stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
    return highest_;
  }

 private:
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> highest_{0};
  std::thread thread_;
};

}  // namespace

uint64_t count_of(uint64_t soak, uint64_t quick) { return env_or("QUORATE_SOAK", "").empty() ? quick : soak; }

Footprint Footprint::of(pid_t pid) {
  Footprint f;
  const std::string proc = "/proc/" + std::to_string(pid);
  std::ifstream status(proc + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssAnon:")) f.memory = number_after(line) * 1024;
    if (line.starts_with("Threads:")) f.threads = number_after(line);
  }
  std::error_code gone;
  for (auto it = std::filesystem::directory_iterator(proc + "/fd", gone);
       !gone && it != std::filesystem::directory_iterator(); it.increment(gone)) {
    std::error_code closed;
    if (std::filesystem::read_symlink(it->path(), closed).native().starts_with("socket:")) ++f.sockets;
  }
  return f;
}

// ---- Bystander

Bystander::Bystander(std::shared_ptr<grpc::Channel> channel)
    : channel_(std::move(channel)), caller_(channel_), watch_(channel_) {
  api::WatchRequest request;
  request.mutable_create_request()->set_key("bystander");
  watch_.send(request);
  api::WatchResponse created;
  if (!watch_.next(&created) || !created.created()) error_ = "no watch";
  thread_ = std::thread([this] { run(); });
}

Bystander::~Bystander() {
  stop_ = true;
  thread_.join();
  watch_.cancel();
}

std::string Bystander::error() {
  std::lock_guard lock(mutex_);
  return error_;
}

std::string Bystander::round(uint64_t number) {
  api::PutRequest put;
  put.set_key("bystander");
  put.set_value(std::to_string(number));
  if (auto a = caller_.call("Put", put); !a.status.ok()) return "put: " + a.status.error_message();
  api::WatchResponse event;
  if (!watch_.next(&event) || event.events_size() != 1) return "watch: no event";
  if (event.events(0).kv().value() != put.value()) return "watch: another value";
  api::RangeRequest get;
  get.set_key("bystander");
  auto answer = caller_.call("Range", get);
  if (!answer.status.ok()) return "get: " + answer.status.error_message();
  const auto& range = static_cast<api::RangeResponse&>(*answer.message);
  return range.kvs_size() == 1 && range.kvs(0).value() == put.value() ? "" : "get: another value";
}

void Bystander::run() {
  for (uint64_t number = 1; !stop_; ++number) {
    const auto began = Clock::now();
    std::string problem = round(number);
    const auto took = std::chrono::duration_cast<Millis>(Clock::now() - began).count();
    slowest_ms_ = std::max<int64_t>(slowest_ms_, took);
    if (!problem.empty()) {
      std::lock_guard lock(mutex_);
      error_ = "round " + std::to_string(number) + ": " + problem;
      return;
    }
    ++rounds_;
    std::this_thread::sleep_for(Millis(10));
  }
}

// ---- Siege

void Siege::start(const std::string& engine) {
  server_ = std::make_unique<Server>(quorate(), ServerSetup{{}, engine});
  ASSERT_TRUE(server_->start()) << server_->log();
  Bystander first(server_->connect());
  ASSERT_TRUE(wait_until(Millis(20000), [&] { return first.rounds() >= 50 || !first.error().empty(); }));
  ASSERT_EQ(first.error(), "");
}

void Siege::TearDown() {
  if (!server_) return;
  EXPECT_TRUE(server_->process().running()) << server_->log();
  EXPECT_EQ(server_->stop(), 0) << server_->log();
}

uint64_t Siege::grown_since(uint64_t memory) {
  const uint64_t now = footprint().memory;
  return now > memory ? now - memory : 0;
}

uint64_t Siege::attack(const std::string& name, uint64_t limit, const std::function<void()>& assault) {
  SCOPED_TRACE(name);
  Bystander bystander(server_->connect());
  EXPECT_TRUE(wait_until(Millis(10000), [&] { return bystander.rounds() >= 20; })) << bystander.error();
  before_ = footprint();
  const uint64_t rounds = bystander.rounds();
  const auto began = Clock::now();
  Peak peak(server_->process().pid());
  assault();
  const auto ended = Clock::now();
  auto back = [&] {
    const Footprint now = footprint();
    return now.memory <= before_.memory + kNoise && now.sockets <= before_.sockets &&
           now.threads <= before_.threads + kLateThreads;
  };
  const bool all_back = wait_until(kPatience, back);
  const Footprint after = footprint();
  const double waited = std::chrono::duration<double>(Clock::now() - ended).count();
  wait_until(Millis(5000), [&] { return bystander.rounds() >= rounds + kFewRounds; });
  const uint64_t highest = peak.stop();
  const uint64_t cost = highest > before_.memory ? highest - before_.memory : 0;
  const uint64_t left = after.memory > before_.memory ? after.memory - before_.memory : 0;
  std::printf("| %-42s | %6.1f | %6.1f | %6.1f | %5.1f | %6.1f | %5" PRId64 " | %6" PRIu64 " |\n",
              name.c_str(), mib(before_.memory), mib(cost), mib(left), waited,
              std::chrono::duration<double>(ended - began).count(), bystander.slowest().count(),
              bystander.rounds() - rounds);
  std::fflush(stdout);
  EXPECT_LE(cost, limit);
  EXPECT_TRUE(all_back) << "after 10 s: " << mib(left) << " MiB more, sockets " << before_.sockets << " -> "
                        << after.sockets << ", threads " << before_.threads << " -> " << after.threads;
  EXPECT_EQ(bystander.error(), "");
  EXPECT_GE(bystander.rounds(), rounds + kFewRounds);
  EXPECT_LE(bystander.slowest(), kSlowest);
  return cost;
}

// ---- What attackers say

std::string client_hello() { return RawClient::preface() + frame(kSettings, kAck, 0); }

std::string call_of(uint32_t stream, const std::string& method, uint8_t flags) {
  return headers(stream, request({{":path", "/etcdserverpb." + method}}), flags);
}

std::string data_frames(uint32_t stream, std::string_view bytes) {
  std::string out;
  for (; !bytes.empty(); bytes.remove_prefix(std::min<size_t>(bytes.size(), 16384)))
    out += frame(kData, 0, stream, bytes.substr(0, 16384));
  return out;
}

std::string whole_call(uint32_t stream, const std::string& method, const google::protobuf::Message& request) {
  return call_of(stream, method) + data_frames(stream, message(request.SerializeAsString())) +
         frame(kData, kEndStream, stream);
}

}  // namespace quorate::test
