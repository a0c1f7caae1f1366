#include "lease/lessor.h"

#include <algorithm>

#include "base/assert.h"

namespace quorate::lease {
namespace {
constexpr uint64_t kSecond = 1'000'000'000;
}

// Clocks of the loop minus the stalls so far: a deadline set before a stall moves by exactly its length.
uint64_t Lessor::deadline(uint64_t now_ns, int64_t ttl_seconds) const {
  return now_ns - stalled_ns_ + static_cast<uint64_t>(ttl_seconds) * kSecond;
}

void Lessor::schedule(LeaseId id, Lease& lease, uint64_t now_ns) {
  lease.deadline_ns = deadline(now_ns, lease.ttl_seconds);
  due_.push({lease.deadline_ns, id});
}

void Lessor::grant(LeaseId id, int64_t ttl_seconds, uint64_t now_ns) {
  auto [at, added] = leases_.try_emplace(id);
  QUORATE_ASSERT(added, "a lease is granted twice");
  at->second.ttl_seconds = ttl_seconds;
  if (leading_) schedule(id, at->second, now_ns);
}

std::vector<std::string> Lessor::revoke(LeaseId id) {
  auto at = leases_.find(id);
  QUORATE_ASSERT(at != leases_.end(), "an unknown lease is revoked");
  std::vector<std::string> keys(at->second.keys.begin(), at->second.keys.end());
  leases_.erase(at);
  return keys;
}

void Lessor::move_key(std::string_view key, LeaseId from, LeaseId to) {
  if (from == to) return;
  if (auto at = leases_.find(from); from != 0 && at != leases_.end()) {
    auto found = at->second.keys.find(key);
    if (found != at->second.keys.end()) at->second.keys.erase(found);
  }
  if (auto at = leases_.find(to); to != 0 && at != leases_.end()) at->second.keys.emplace(key);
}

void Lessor::lead(uint64_t now_ns) {
  leading_ = true;
  due_ = {};
  for (auto& [id, lease] : leases_) {
    lease.revoking = false;
    schedule(id, lease, now_ns);
  }
}

void Lessor::follow() {
  leading_ = false;
  due_ = {};
}

int64_t Lessor::renew(LeaseId id, uint64_t now_ns) {
  auto at = leases_.find(id);
  if (!leading_ || at == leases_.end() || at->second.revoking) return 0;
  at->second.deadline_ns =
      deadline(now_ns, at->second.ttl_seconds);  // its entry in the heap is looked at again
  return at->second.ttl_seconds;
}

std::vector<LeaseId> Lessor::take_expired(uint64_t now_ns, size_t limit) {
  std::vector<LeaseId> expired;
  if (!leading_) return expired;
  const uint64_t now = now_ns - stalled_ns_;
  while (!due_.empty() && due_.top().deadline_ns <= now && expired.size() < limit) {
    LeaseId id = due_.top().id;
    due_.pop();
    auto at = leases_.find(id);
    if (at == leases_.end() || at->second.revoking) continue;
    if (at->second.deadline_ns > now) {
      due_.push({at->second.deadline_ns, id});  // renewed meanwhile
      continue;
    }
    at->second.revoking = true;
    expired.push_back(id);
  }
  return expired;
}

void Lessor::revoke_failed(LeaseId id) {
  auto at = leases_.find(id);
  if (at == leases_.end() || !at->second.revoking) return;
  at->second.revoking = false;
  if (leading_) due_.push({at->second.deadline_ns, id});
}

bool Lessor::revoke_under_way(LeaseId id) const {
  auto at = leases_.find(id);
  return at != leases_.end() && at->second.revoking;
}

int64_t Lessor::granted_ttl(LeaseId id) const {
  auto at = leases_.find(id);
  return at == leases_.end() ? 0 : at->second.ttl_seconds;
}

int64_t Lessor::remaining_seconds(LeaseId id, uint64_t now_ns) const {
  auto at = leases_.find(id);
  if (at == leases_.end()) return 0;
  if (!leading_) return at->second.ttl_seconds;
  const uint64_t now = now_ns - stalled_ns_;
  return at->second.deadline_ns <= now ? 0 : static_cast<int64_t>((at->second.deadline_ns - now) / kSecond);
}

const std::set<std::string, std::less<>>* Lessor::keys(LeaseId id) const {
  auto at = leases_.find(id);
  return at == leases_.end() ? nullptr : &at->second.keys;
}

std::vector<LeaseId> Lessor::by_remaining_time() const {
  std::vector<std::pair<uint64_t, LeaseId>> order;
  order.reserve(leases_.size());
  for (const auto& [id, lease] : leases_) {
    order.emplace_back(leading_ ? lease.deadline_ns : static_cast<uint64_t>(lease.ttl_seconds), id);
  }
  std::sort(order.begin(), order.end());
  std::vector<LeaseId> ids;
  ids.reserve(order.size());
  for (const auto& [deadline, id] : order) ids.push_back(id);
  return ids;
}

}  // namespace quorate::lease
