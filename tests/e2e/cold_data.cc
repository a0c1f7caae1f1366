#include "e2e/cold_data.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <random>
#include <thread>

#include "e2e/api_client.h"

namespace quorate::test {
namespace api = etcdserverpb;
namespace {

constexpr uint64_t kSmallest = 1024, kSpread = 3072;  // of values
constexpr uint64_t kAgain = 4;                        // each so manieth block is written twice
constexpr int kWriters = 4;

uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

std::string value_of(uint64_t key, uint32_t version) {
  const uint64_t seed = mix(key * 1000003 + version);
  std::string value(kSmallest + seed % kSpread, '\0');
  for (size_t at = 0; at < value.size(); at += 8) {
    const uint64_t word = mix(seed + at);
    std::memcpy(value.data() + at, &word, std::min<size_t>(8, value.size() - at));
  }
  return value;
}

std::string failed(const char* what, const grpc::Status& status) {
  return status.ok() ? std::string() : std::string(what) + ": " + status.error_message();
}

// An engine that is slower than the log makes the node refuse writes until it has caught up.
grpc::Status write_patiently(api::KV::Stub& kv, const api::TxnRequest& request, api::TxnResponse* response) {
  grpc::Status status;
  wait_until(Millis(120000), [&] {
    grpc::ClientContext context;
    status = kv.Txn(&context, request, response);
    return status.error_message() != "etcdserver: too many requests";
  });
  return status;
}

}  // namespace

ColdData::ColdData(uint64_t bytes) {
  const uint64_t mean = kSmallest + kSpread / 2;
  const uint64_t blocks = bytes * kAgain / (kAgain + 1) / mean / kBlock + 1;
  version_.resize(blocks * kBlock);
}

std::string ColdData::key_name(uint64_t key) {
  char number[16];
  snprintf(number, sizeof number, "%08lu", key);
  return std::string(kPrefix) + number;
}

std::string ColdData::check(const mvccpb::KeyValue& kv, uint64_t key, uint32_t version) const {
  if (kv.key() != key_name(key)) return "another key than " + std::to_string(key) + ": " + kv.key();
  if (kv.version() != version)
    return "key " + std::to_string(key) + " has version " + std::to_string(kv.version()) + ", not " +
           std::to_string(version);
  return kv.value() == value_of(key, version) ? "" : "key " + std::to_string(key) + " has another value";
}

// ---- Writing
// ---------------------------------------------------------------------------------------------------------

std::string ColdData::write_blocks(const std::shared_ptr<grpc::Channel>& channel, uint64_t step,
                                   uint32_t version) {
  std::atomic<uint64_t> next{0};
  std::mutex mutex;
  std::string error;
  auto write = [&] {
    auto kv = api::KV::NewStub(channel);
    for (uint64_t block; (block = next.fetch_add(step)) < blocks();) {
      api::TxnRequest request;
      for (uint64_t key = block * kBlock; key < (block + 1) * kBlock; ++key) {
        auto* put = request.add_success()->mutable_request_put();
        put->set_key(key_name(key));
        put->set_value(value_of(key, version));
      }
      api::TxnResponse response;
      const grpc::Status status = write_patiently(*kv, request, &response);
      std::lock_guard lock(mutex);
      if (!status.ok()) error = failed("Txn", status);
      if (!error.empty()) return;
      log_.push_back({response.header().revision(), block * kBlock, kBlock, version});
      for (uint64_t key = block * kBlock; key < (block + 1) * kBlock; ++key) version_[key] = version;
    }
  };
  std::vector<std::thread> writers;
  for (int i = 0; i < kWriters; ++i) writers.emplace_back(write);
  for (std::thread& writer : writers) writer.join();
  return error;
}

uint64_t ColdData::fill(const std::shared_ptr<grpc::Channel>& channel, std::string* error) {
  *error = write_blocks(channel, 1, 1);
  if (error->empty()) *error = write_blocks(channel, kAgain, 2);
  std::sort(log_.begin(), log_.end(),
            [](const Change& a, const Change& b) { return a.revision < b.revision; });
  log_blocks_ = log_.size();
  return log_.size() * kBlock;
}

std::string ColdData::put_again(api::KV::Stub& kv, uint64_t key) {
  api::PutRequest request;
  request.set_key(key_name(key));
  request.set_value(value_of(key, version_[key] + 1));
  request.set_prev_kv(true);
  grpc::ClientContext context;
  api::PutResponse response;
  if (grpc::Status status = kv.Put(&context, request, &response); !status.ok()) return failed("Put", status);
  if (std::string wrong = check(response.prev_kv(), key, version_[key]); !wrong.empty())
    return "the version before: " + wrong;
  log_.push_back({response.header().revision(), key, 1, ++version_[key]});
  ++again_;
  return "";
}

uint64_t ColdData::compact(api::KV::Stub& kv, std::string* error) {
  api::CompactionRequest request;
  request.set_revision(log_.back().revision);
  request.set_physical(true);
  grpc::ClientContext context;
  api::CompactionResponse response;
  *error = failed("Compact", kv.Compact(&context, request, &response));
  compacted_ = request.revision();
  return versions() - keys();
}

// ---- Reading
// ---------------------------------------------------------------------------------------------------------

std::string ColdData::check_one(api::KV::Stub& kv, uint64_t key) const {
  api::RangeRequest request;
  request.set_key(key_name(key));
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  api::RangeResponse response;
  if (grpc::Status status = kv.Range(&context, request, &response); !status.ok())
    return failed("Range", status);
  if (response.kvs_size() != 1) return "key " + std::to_string(key) + " is not there";
  return check(response.kvs(0), key, version_[key]);
}

std::string ColdData::check_past(api::KV::Stub& kv, uint64_t random) const {
  const Change& change = log_[random % log_.size()];
  const uint64_t key = change.first + random / log_.size() % change.count;
  api::RangeRequest request;
  request.set_key(key_name(key));
  request.set_revision(change.revision);
  grpc::ClientContext context;
  api::RangeResponse response;
  if (grpc::Status status = kv.Range(&context, request, &response); !status.ok())
    return failed("Range", status);
  if (response.kvs_size() != 1) return "key " + std::to_string(key) + " was not there";
  return check(response.kvs(0), key, change.version);
}

std::string ColdData::compare(api::KV::Stub& kv, uint64_t key) const {
  api::TxnRequest request;
  auto* compare = request.add_compare();
  compare->set_key(key_name(key));
  compare->set_target(api::Compare_CompareTarget_VALUE);
  compare->set_value(value_of(key, version_[key]));
  grpc::ClientContext context;
  api::TxnResponse response;
  if (grpc::Status status = kv.Txn(&context, request, &response); !status.ok()) return failed("Txn", status);
  return response.succeeded() ? "" : "key " + std::to_string(key) + " compares as another value";
}

uint64_t ColdData::check_many(const std::shared_ptr<grpc::Channel>& channel, int clients, uint64_t count,
                              std::string* error) {
  std::atomic<uint64_t> left{count};
  std::mutex mutex;
  auto read = [&](uint64_t seed) {
    std::mt19937_64 random(seed);
    auto kv = api::KV::NewStub(channel);
    for (uint64_t before = left.load(); before != 0;) {
      if (!left.compare_exchange_weak(before, before - 1)) continue;
      const std::string wrong = check_one(*kv, random() % keys());
      if (wrong.empty()) continue;
      std::lock_guard lock(mutex);
      *error = wrong;
      return;
    }
  };
  std::vector<std::thread> readers;
  for (int i = 0; i < clients; ++i) readers.emplace_back(read, static_cast<uint64_t>(i));
  for (std::thread& reader : readers) reader.join();
  return count;
}

uint64_t ColdData::scan(api::KV::Stub& kv, std::string* error) {
  api::RangeRequest request;
  request.set_key(std::string(kPrefix));
  request.set_range_end(std::string(kEnd));
  request.set_limit(500);
  uint64_t key = 0;
  for (bool more = true; more && error->empty();) {
    grpc::ClientContext context;
    api::RangeResponse response;
    if (grpc::Status status = kv.Range(&context, request, &response); !status.ok())
      *error = failed("Range", status);
    else if (response.count() != static_cast<int64_t>(keys() - key))
      *error = "it counts " + std::to_string(response.count()) + " keys from " + std::to_string(key) + " on";
    request.set_revision(response.header().revision());
    for (const auto& found : response.kvs()) {
      if (key < keys() && error->empty()) *error = check(found, key, version_[key]);
      ++key;
    }
    more = response.more();
    request.set_key(key_name(key));
  }
  if (error->empty() && key != keys()) *error = "the scan ends at key " + std::to_string(key);
  return key;
}

uint64_t ColdData::watch(const std::shared_ptr<grpc::Channel>& channel, std::string* error) {
  auto change = log_.begin() + static_cast<ptrdiff_t>(log_.size() - log_.size() / 8);
  while (change != log_.end() && change->revision < compacted_) ++change;
  WatchStream stream(channel);
  api::WatchRequest request;
  request.mutable_create_request()->set_key(std::string(kPrefix));
  request.mutable_create_request()->set_range_end(std::string(kEnd));
  request.mutable_create_request()->set_start_revision(change->revision);
  stream.send(request);
  uint64_t events = 0;
  uint64_t of_change = 0;
  api::WatchResponse response;
  while (change != log_.end() && error->empty()) {
    if (!stream.next(&response, Millis(60000)) || response.canceled())
      return *error = "the watch ends after " + std::to_string(events) + " events", events;
    for (const auto& event : response.events()) {
      if (change == log_.end()) return *error = "an event too many", events;
      if (event.kv().mod_revision() != change->revision)
        return *error = "an event of revision " + std::to_string(event.kv().mod_revision()) + ", not " +
                        std::to_string(change->revision),
               events;
      *error = check(event.kv(), change->first + of_change, change->version);
      if (!error->empty()) return events;
      ++events;
      if (++of_change == change->count) ++change, of_change = 0;
    }
  }
  return events;
}

}  // namespace quorate::test
