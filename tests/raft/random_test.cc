// Whole clusters under random messages, crashes, slow disks and membership changes. One seed is one run.
//
// Oracles: Raft's invariants after every step; every member applies the same bytes at an index; an
// acknowledged proposal is never lost and comes after everything acknowledged before it was made; a
// linearizable read returns nothing older than what was committed when it began; after healing the cluster
// serves again.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <set>

#include "raft/cluster.h"

namespace quorate::raft::testing {
namespace {

struct Profile {
  uint32_t voters = 3;
  uint32_t blanks = 0;  // members that may be added
  bool changes = false;
};

class Nemesis {
 public:
  Nemesis(uint64_t seed, Profile profile)
      : random_(seed), profile_(profile), cluster_(profile.voters, options(seed)) {
    for (uint32_t i = 1; i <= profile.blanks; ++i) cluster_.add_blank(profile.voters + i);
  }

  void run(uint32_t steps) {
    for (uint32_t i = 0; i < steps && !failed(); ++i) step();
    if (!failed()) heal();
  }
  uint64_t acknowledged() const { return acknowledged_.size(); }
  uint64_t reads_answered() const { return reads_answered_; }

 private:
  struct Pending {
    Term term;
    std::string text;
    Index floor;
  };
  struct Read {
    MemberId at;
    Index floor;
  };

  Options options(uint64_t seed) {
    Options o;
    o.seed = seed;
    o.heartbeat_ticks = 2;
    o.election_ticks = 10;
    o.rank_ticks = pick(4);
    o.jitter_ticks = 4;
    o.retry_ticks = 2;
    o.max_append_bytes = chance(50) ? 100 : 1 << 20;
    o.max_inflight_bytes = chance(50) ? 200 : 1 << 20;
    o.max_apply_bytes = chance(50) ? 60 : 1 << 20;
    // Without pre-vote a member that has not heard of its removal disturbs the others for ever
    // (thesis 4.2.3).
    o.pre_vote = chance(80) || profile_.changes;
    o.check_quorum = chance(80);
    return o;
  }
  uint32_t pick(uint32_t n) { return static_cast<uint32_t>(random_() % n); }
  bool chance(uint32_t percent) { return pick(100) < percent; }
  static bool failed() { return ::testing::Test::HasFailure(); }
  uint64_t any_id() { return 1 + pick(profile_.voters + profile_.blanks); }

  void step() {
    const uint32_t action = pick(1000);
    const uint64_t id = any_id();
    Node& node = cluster_.node(id);
    if (action < 480) return fly();
    if (!node.running()) {
      if (action < 500) cluster_.restart(id);
      return;
    }
    if (action < 680) return pump(id);
    if (action < 720) return tick(node);
    if (action < 880) return write(node);
    if (action < 930) return propose(id);
    if (action < 955) return read(id);
    if (action < 980) return housekeeping(node);
    if (action < 984) return crash(id);
    if (action < 987) return partition();
    if (action < 995 && profile_.changes) return change(node);
    mischief(node);
  }

  void fly() {
    if (cluster_.flying.empty()) return;
    const size_t window = chance(70) ? 1 : cluster_.flying.size();
    auto at = cluster_.flying.begin() + pick(static_cast<uint32_t>(window));
    Flying f = *at;
    if (!chance(5)) cluster_.flying.erase(at);  // else it comes again
    if (chance(loss_)) return;
    cluster_.deliver(f);
    if (cluster_.flying.size() > 500)
      cluster_.flying.erase(cluster_.flying.begin(), cluster_.flying.begin() + 100);
  }

  void pump(uint64_t id) {
    const Ready ready = cluster_.pump(id);
    for (const Entry& entry : ready.committed) committed(id, entry);
    for (auto& [at, read] : cluster_.reads) {
      auto pending = reads_.find(read.context);
      ASSERT_NE(pending, reads_.end()) << "a read was answered twice";
      EXPECT_GE(read.index, pending->second.floor) << "stale read at member " << at.value;
      reads_.erase(pending);
      ++reads_answered_;
    }
    cluster_.reads.clear();
    for (auto& [at, context] : cluster_.reads_failed) EXPECT_EQ(reads_.erase(context), 1u) << "failed twice";
    cluster_.reads_failed.clear();
  }

  void committed(uint64_t id, const Entry& entry) {
    auto [at, fresh] = contents_.emplace(entry.index, text(entry.data));
    EXPECT_EQ(at->second, text(entry.data)) << "different bytes at index " << entry.index.value;
    auto pending = proposals_.find({id, entry.index});
    if (pending == proposals_.end()) return;
    if (pending->second.term == entry.term) {
      EXPECT_EQ(pending->second.text, text(entry.data));
      EXPECT_GT(entry.index, pending->second.floor)
          << "older than what was acknowledged before it was proposed";
      acknowledged_[entry.index] = pending->second.text;
    }
    proposals_.erase(pending);
  }

  void tick(Node& node) {
    const uint32_t n = chance(5) ? 12 : 1;
    for (uint32_t i = 0; i < n; ++i) node->tick();
    cluster_.check(node);
  }
  void write(Node& node) {
    if (node.writes_in_flight() == 0) return;
    node.finish_write();
    cluster_.check(node);
  }
  void propose(uint64_t id) {
    const std::string value = "v" + std::to_string(++values_);
    Node& node = cluster_.node(id);
    const Proposed p = node->propose({bytes(value)});
    if (!p.ok()) return;
    const Index floor = acknowledged_.empty() ? Index(0) : acknowledged_.rbegin()->first;
    proposals_[{id, p.first}] = {p.term, value, floor};
    cluster_.check(node);
  }
  void read(uint64_t id) {
    const Index floor = cluster_.invariants.highest_committed();
    if (cluster_.node(id)->read_index(++contexts_)) reads_[contexts_] = {MemberId(id), floor};
  }
  void housekeeping(Node& node) {
    if (chance(60)) return node.persist_applied();
    const Index applied = node->applied_index();
    node->compact(Index(applied.value - std::min<uint64_t>(applied.value, pick(8))));
    node.disk().compact(std::min(node.disk().applied, node->log().base().index));
    cluster_.check(node);
  }
  void crash(uint64_t id) {
    Node& node = cluster_.node(id);
    for (size_t n = pick(static_cast<uint32_t>(node.writes_in_flight() + 1)); n > 0; --n)
      node.finish_write(false);
    cluster_.crash(id);
    std::erase_if(reads_, [&](auto& r) { return r.second.at == MemberId(id); });
    std::erase_if(proposals_, [&](auto& p) { return p.first.first == id; });
  }
  void partition() {
    cluster_.isolated.clear();
    loss_ = chance(50) ? 0 : pick(40);
    if (chance(60)) return;
    for (uint32_t i = pick(2); i < 2; ++i) cluster_.isolated.insert(MemberId(any_id()));
  }
  void change(Node& node) {
    ConfChange c;
    c.transition = static_cast<ConfChange::Transition>(pick(3));
    if (node->config().joint() && chance(80)) c.transition = ConfChange::Transition::kAuto;
    if (!node->config().joint() || chance(20))
      for (uint32_t i = pick(3); i < 3; ++i) add_item(c, node->config());
    node->propose_conf_change(c);
    cluster_.check(node);
  }
  // The ids of removed members are not used again.
  void add_item(ConfChange& c, const Config& config) {
    for (auto& [id, node] : cluster_.nodes())
      if (node->running())
        for (MemberId member : node->core().config().members()) known_.insert(member);
    const MemberId id(any_id());
    if (known_.contains(id) && !config.is_member(id)) return;
    c.items.push_back({static_cast<ChangeItem::Kind>(pick(3)), id});
  }
  void mischief(Node& node) {
    const MemberId other(any_id());
    switch (pick(4)) {
      case 0:
        node->transfer_leadership(other);
        break;
      case 1:
        node->peer_connection_lost(other);
        break;
      case 2:
        node->report_unreachable(other);
        break;
      default:
        node->campaign();
    }
    cluster_.check(node);
  }

  bool pump_all() {
    bool busy = false;
    for (auto& [id, node] : cluster_.nodes()) {
      for (; node->core().has_ready() && !failed(); busy = true) pump(id.value);
      if (node->writes_in_flight() != 0) {
        busy = true;
        node->finish_writes();
        cluster_.check(*node);
      }
    }
    while (!failed() && cluster_.deliver_one()) busy = true;
    return busy;
  }

  // Everyone runs and hears everyone again: a proposal must get through and everybody must agree.
  void heal() {
    cluster_.isolated.clear();
    for (auto& [id, node] : cluster_.nodes())
      if (!node->running()) cluster_.restart(id.value);
    uint64_t served = 0;
    for (int i = 0; i < 600 && served == 0 && !failed(); ++i) {
      cluster_.tick_all(1);
      while (!failed() && pump_all()) {
      }
      const uint64_t leader = cluster_.leader();
      if (leader == 0) continue;
      const Proposed p = cluster_.node(leader)->propose({bytes("end")});
      if (!p.ok()) continue;
      while (!failed() && pump_all()) {
      }
      if (cluster_.node(leader)->applied_index() >= p.first) served = leader;
    }
    ASSERT_FALSE(failed());
    ASSERT_NE(served, 0u) << "nobody serves after healing:\n" << cluster_.status();
    for (int i = 0; i < 600 && !failed() && (i < 60 || !agreed()); ++i) {
      cluster_.tick_all(1);
      while (!failed() && pump_all()) {
      }
    }
    ASSERT_NE(cluster_.leader(), 0u);
    agree();
  }
  bool agreed() {
    if (cluster_.leader() == 0) return false;
    const RaftCore& leader = cluster_.node(cluster_.leader()).core();
    for (MemberId id : leader.config().members())
      if (cluster_.node(id.value)->applied_index() != leader.applied_index()) return false;
    return true;
  }
  void agree() {
    const RaftCore& leader = cluster_.node(cluster_.leader()).core();
    for (MemberId id : leader.config().members()) {
      Node& member = cluster_.node(id.value);
      EXPECT_EQ(member->applied_index(), leader.applied_index()) << "member " << id.value;
      EXPECT_EQ(member->config(), leader.config());
      for (const auto& [index, value] : acknowledged_) {
        ASSERT_EQ(member.applied.count(index), 1u) << "acknowledged and lost: index " << index.value;
        ASSERT_EQ(text(member.applied[index].data), value);
      }
    }
  }

  std::mt19937_64 random_;
  Profile profile_;
  Cluster cluster_;
  uint32_t loss_ = 0;
  MemberSet known_;
  uint64_t values_ = 0;
  uint64_t contexts_ = 0;
  uint64_t reads_answered_ = 0;
  std::map<Index, std::string> contents_;
  std::map<std::pair<uint64_t, Index>, Pending> proposals_;
  std::map<Index, std::string> acknowledged_;
  std::map<uint64_t, Read> reads_;
};

uint64_t first_seed() {
  const char* seed = std::getenv("QUORATE_SEED");
  return seed == nullptr ? 1 : std::strtoull(seed, nullptr, 10);
}
uint64_t seeds(uint64_t normally) {
  if (std::getenv("QUORATE_SEED") != nullptr) return 1;
  return std::getenv("QUORATE_SOAK") != nullptr ? normally * 100 : normally;
}

void run_seeds(uint64_t count, Profile profile) {
  uint64_t acknowledged = 0;
  uint64_t reads = 0;
  const uint64_t first = first_seed();
  for (uint64_t seed = first; seed < first + seeds(count); ++seed) {
    SCOPED_TRACE("QUORATE_SEED=" + std::to_string(seed));
    Nemesis nemesis(seed, profile);
    nemesis.run(20000);
    if (::testing::Test::HasFailure()) return;
    acknowledged += nemesis.acknowledged();
    reads += nemesis.reads_answered();
  }
  std::printf("%llu seeds, %llu proposals acknowledged, %llu reads answered\n",
              static_cast<unsigned long long>(seeds(count)), static_cast<unsigned long long>(acknowledged),
              static_cast<unsigned long long>(reads));
  if (seeds(count) >= 10) {
    EXPECT_GT(acknowledged, seeds(count) * 5) << "the runs do too little to prove anything";
    EXPECT_GT(reads, seeds(count) * 2);
  }
}

TEST(Random, ThreeVoters) { run_seeds(100, {3, 0, false}); }
TEST(Random, FiveVoters) { run_seeds(50, {5, 0, false}); }
TEST(Random, MembersComeAndGo) { run_seeds(100, {3, 3, true}); }

}  // namespace
}  // namespace quorate::raft::testing
