#include "e2e/workload.h"

#include <random>

#include "e2e/api_client.h"

namespace quorate::test {
namespace api = etcdserverpb;

// ---- Ledger
// ----------------------------------------------------------------------------------------------------------

void Ledger::acknowledge(const std::string& key, const std::string& value, int64_t revision) {
  std::lock_guard lock(mutex_);
  keys_[key] = {value, revision, false, ""};
  highest_ = std::max(highest_, revision);
  ++acknowledged_;
}

void Ledger::attempt(const std::string& key, const std::string& value) {
  std::lock_guard lock(mutex_);
  keys_[key].unknown = true;
  keys_[key].attempt = value;
}

void Ledger::withdraw(const std::string& key) {
  std::lock_guard lock(mutex_);
  keys_[key].unknown = false;
}

std::map<std::string, KnownKey> Ledger::keys() {
  std::lock_guard lock(mutex_);
  return keys_;
}

int64_t Ledger::highest_revision() {
  std::lock_guard lock(mutex_);
  return highest_;
}

uint64_t Ledger::acknowledged() {
  std::lock_guard lock(mutex_);
  return acknowledged_;
}

std::string Ledger::check(api::KV::Stub& kv) {
  api::RangeRequest everything;
  everything.set_key(std::string(1, '\0'));
  everything.set_range_end(std::string(1, '\0'));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kCallLimit);
  context.set_wait_for_ready(true);
  api::RangeResponse response;
  const grpc::Status status = kv.Range(&context, everything, &response);
  if (!status.ok()) return "cannot read: " + status.error_message();

  std::lock_guard lock(mutex_);
  if (response.header().revision() < highest_)
    return "revision " + std::to_string(response.header().revision()) + " is before the acknowledged " +
           std::to_string(highest_);
  std::map<std::string, const mvccpb::KeyValue*> found;
  for (const auto& kv_found : response.kvs()) found[kv_found.key()] = &kv_found;
  for (auto& [key, known] : keys_) {
    auto at = found.find(key);
    const std::string value = at == found.end() ? "" : at->second->value();
    const bool as_known =
        value == known.value && (value.empty() || at->second->mod_revision() == known.revision);
    const bool as_attempted = known.unknown && value == known.attempt;
    if (!as_known && !as_attempted)
      return key + ": '" + value + "' instead of '" + known.value + "' of revision " +
             std::to_string(known.revision) + (known.unknown ? " or '" + known.attempt + "'" : "");
    known = {value, at == found.end() ? 0 : at->second->mod_revision(), false, ""};
    if (at != found.end()) found.erase(at);
  }
  if (!found.empty()) return "a key that nobody wrote: " + found.begin()->first;
  highest_ = response.header().revision();
  return "";
}

// ---- Writers
// ---------------------------------------------------------------------------------------------------------

Writers::Writers(std::shared_ptr<grpc::Channel> channel, Ledger& ledger, int count, uint64_t seed)
    : channel_(std::move(channel)), ledger_(ledger) {
  for (int i = 0; i < count; ++i)
    threads_.emplace_back([this, i, seed] { write(i, seed + static_cast<uint64_t>(i)); });
}

void Writers::stop() {
  stopped_ = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

namespace {

// Two keys of one writer, changed by one transaction: both or neither must be there afterwards.
grpc::Status change(api::KV::Stub& kv, const std::vector<std::string>& keys, const std::string& value,
                    bool remove, int64_t* revision) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kCallLimit);
  grpc::Status status;
  if (keys.size() > 1) {
    api::TxnRequest request;
    api::TxnResponse response;
    for (const std::string& key : keys) {
      if (remove) {
        request.add_success()->mutable_request_delete_range()->set_key(key);
      } else {
        auto* put = request.add_success()->mutable_request_put();
        put->set_key(key);
        put->set_value(value);
      }
    }
    status = kv.Txn(&context, request, &response);
    *revision = response.header().revision();
  } else if (remove) {
    api::DeleteRangeRequest request;
    api::DeleteRangeResponse response;
    request.set_key(keys[0]);
    status = kv.DeleteRange(&context, request, &response);
    *revision = response.header().revision();
  } else {
    api::PutRequest request;
    api::PutResponse response;
    request.set_key(keys[0]);
    request.set_value(value);
    status = kv.Put(&context, request, &response);
    *revision = response.header().revision();
  }
  return status;
}

}  // namespace

void Writers::write(int writer, uint64_t seed) {
  std::mt19937_64 random(seed);
  auto kv = api::KV::NewStub(channel_);
  while (!stopped_) {
    auto key = [&] { return "w" + std::to_string(writer) + "/" + std::to_string(random() % 40); };
    std::vector<std::string> keys = {key()};
    if (random() % 4 == 0) {
      std::string other = key();
      if (other != keys[0]) keys.push_back(other);
    }
    const bool remove = random() % 5 == 0;
    const std::string value = remove ? "" : std::to_string(random()) + std::string(random() % 300, 'v');
    for (const std::string& k : keys) ledger_.attempt(k, value);
    int64_t revision = 0;
    if (!change(*kv, keys, value, remove, &revision).ok()) return;  // the outcome stays unknown
    for (const std::string& k : keys) ledger_.acknowledge(k, value, revision);
  }
}

// ---- Following
// -------------------------------------------------------------------------------------------------------

Followed follow(const std::shared_ptr<grpc::Channel>& channel, int64_t from, int64_t to) {
  Followed followed;
  followed.last = from - 1;
  WatchStream watch(channel);
  api::WatchRequest request;
  auto* create = request.mutable_create_request();
  create->set_key(std::string(1, '\0'));
  create->set_range_end(std::string(1, '\0'));
  create->set_start_revision(from);
  watch.send(request);
  while (followed.last < to) {
    api::WatchResponse response;
    if (!watch.next(&response, Millis(20000))) {
      followed.error =
          "nothing after revision " + std::to_string(followed.last) + " of " + std::to_string(to);
      return followed;
    }
    if (response.canceled()) {
      followed.error = "cancelled: " + response.ShortDebugString();
      return followed;
    }
    for (const auto& event : response.events()) {
      const int64_t revision = event.kv().mod_revision();
      if (revision != followed.last && revision != followed.last + 1) {
        followed.error = "revision " + std::to_string(revision) + " after " + std::to_string(followed.last);
        return followed;
      }
      followed.last = revision;
      ++followed.events;
    }
  }
  return followed;
}

}  // namespace quorate::test
