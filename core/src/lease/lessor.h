// Leases: replicated grants and attachments, and the leader's deadlines.
//
// What is granted and which keys are attached is replicated state, changed by apply alone. When a lease ends
// is the leader's business: deadlines live on its monotonic clock, an expiry becomes a proposed revoke, and
// only the applied revoke removes anything. A lease is never ended early: a new leader gives each its full
// time again, and a stall of the loop is added to every deadline. etcd-surface §1.5.
//
// [loop]
#pragma once

#include <cstdint>
#include <queue>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace quorate::lease {

using LeaseId = int64_t;

inline constexpr int64_t kMaxTtlSeconds = 9'000'000'000;

class Lessor {
 public:
  // min_ttl: the least time, in seconds, that a grant gets (1.5 election timeouts, rounded up).
  explicit Lessor(int64_t min_ttl_seconds) : min_ttl_(min_ttl_seconds) {}

  // ---- Apply.
  int64_t effective_ttl(int64_t asked_seconds) const {
    return asked_seconds < min_ttl_ ? min_ttl_ : asked_seconds;
  }
  bool exists(LeaseId id) const { return leases_.contains(id); }
  // REQUIRES: !exists(id). `now_ns`: when the time begins, if this member leads.
  void grant(LeaseId id, int64_t ttl_seconds, uint64_t now_ns);
  // Removes the lease; its keys, sorted. REQUIRES: exists(id).
  std::vector<std::string> revoke(LeaseId id);
  // A key moves from one lease to another; 0: none. An id that does not exist (any more) is passed over.
  void move_key(std::string_view key, LeaseId from, LeaseId to);

  // ---- The leader's clock.
  // From now on this member decides; every lease gets its full time.
  void lead(uint64_t now_ns);
  void follow();
  bool leading() const { return leading_; }
  // The loop did not run for so long: no lease may pay for it.
  void add_stall(uint64_t ns) { stalled_ns_ += ns; }
  // The granted time in seconds, or 0: unknown, or about to be revoked.
  int64_t renew(LeaseId id, uint64_t now_ns);
  // Up to `limit` leases whose time is over and for which no revoke is under way; they count as under way
  // from now on.
  std::vector<LeaseId> take_expired(uint64_t now_ns, size_t limit);
  // The revoke of `id` failed: ask again at the next sweep.
  void revoke_failed(LeaseId id);
  bool revoke_under_way(LeaseId id) const;

  // ---- Questions.
  int64_t granted_ttl(LeaseId id) const;                         // 0: unknown
  int64_t remaining_seconds(LeaseId id, uint64_t now_ns) const;  // floor; the full time on a follower
  const std::set<std::string, std::less<>>* keys(LeaseId id) const;
  std::vector<LeaseId> by_remaining_time() const;  // the shortest first; ties by id
  size_t size() const { return leases_.size(); }

 private:
  struct Lease {
    int64_t ttl_seconds = 0;
    uint64_t deadline_ns = 0;  // on the leader, without stalls that came later
    bool revoking = false;
    std::set<std::string, std::less<>> keys;
  };
  // Deadlines only ever move away, so an entry of the heap is a lower bound: when it comes up, it is looked
  // at again.
  struct Due {
    uint64_t deadline_ns;
    LeaseId id;
    bool operator>(const Due& o) const { return deadline_ns > o.deadline_ns; }
  };
  uint64_t deadline(uint64_t now_ns, int64_t ttl_seconds) const;
  void schedule(LeaseId id, Lease& lease, uint64_t now_ns);

  const int64_t min_ttl_;
  bool leading_ = false;
  uint64_t stalled_ns_ = 0;
  std::unordered_map<LeaseId, Lease> leases_;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
};

}  // namespace quorate::lease
