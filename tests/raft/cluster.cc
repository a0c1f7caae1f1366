#include "raft/cluster.h"

namespace quorate::raft::testing {

Cluster::Cluster(uint32_t voters, Options options) : options_(options) {
  for (uint32_t id = 1; id <= voters; ++id) founders_.voters.insert(MemberId(id));
  for (MemberId id : founders_.voters) {
    options_.id = id;
    Disk disk;
    disk.config = founders_;
    nodes_[id] = std::make_unique<Node>(options_, std::move(disk));
  }
}

void Cluster::add_blank(uint64_t id) {
  options_.id = MemberId(id);
  Disk disk;
  disk.base = {};
  disk.applied = Index(0);
  nodes_[MemberId(id)] = std::make_unique<Node>(options_, std::move(disk));
}

void Cluster::check(Node& node) {
  const RaftCore& core = node.core();
  std::string error = check_basic(core);
  auto before = before_.find(core.id());
  if (error.empty() && before != before_.end()) error = check_delta(before->second, core);
  if (error.empty()) error = invariants.observe(core);
  ASSERT_EQ(error, "");
  before_[core.id()] = snapshot_of(core);
}

void Cluster::crash(uint64_t id) {
  node(id).crash();
  before_.erase(MemberId(id));
}

Ready Cluster::pump(uint64_t id) {
  Node& n = node(id);
  Ready ready = n.pump();
  for (Envelope& e : ready.messages) flying.push_back({n.id(), e.to, e.message});
  for (const Entry& entry : ready.committed) EXPECT_EQ(invariants.applied(entry), "");
  for (const ReadState& read : ready.reads) reads.push_back({n.id(), read});
  for (uint64_t context : ready.reads_failed) reads_failed.push_back({n.id(), context});
  for (MemberId to : ready.need_snapshot) {
    const Index index = n->applied_index();
    n->offer_snapshot(to, {index, *n->log().term_at(index), n.config_at(index)});
  }
  for (const SnapshotOffer& offer : ready.snapshot_offers) install(n, offer);
  check(n);
  return ready;
}

void Cluster::install(Node& node, const SnapshotOffer& offer) {
  Node& source = *nodes_.at(offer.from);
  // The bytes come from the state machine as it is now: after a crash it may be behind what it offered.
  if (!source.running() || source->applied_index() < offer.snapshot.index)
    return node->snapshot_failed(offer.from, offer.snapshot);
  if (!node->install_snapshot(offer.snapshot)) return;
  node.installing = offer.snapshot.index;
  node.applied.clear();
  for (const auto& [index, entry] : source.applied)
    if (index <= offer.snapshot.index) node.applied[index] = entry;
}

void Cluster::deliver(const Flying& f) {
  auto to = nodes_.find(f.to);
  if (to == nodes_.end() || !to->second->running()) return;
  if (isolated.contains(f.from) || isolated.contains(f.to)) return;
  to->second->core().step(f.from, f.message);
  check(*to->second);
}

bool Cluster::deliver_one(uint64_t from, uint64_t to) {
  for (auto at = flying.begin(); at != flying.end(); ++at) {
    if ((from != 0 && at->from.value != from) || (to != 0 && at->to.value != to)) continue;
    Flying f = std::move(*at);
    flying.erase(at);
    deliver(f);
    return true;
  }
  return false;
}

void Cluster::settle() {
  for (bool busy = true; busy;) {
    busy = false;
    for (auto& [id, n] : nodes_) {
      if (!n->running()) continue;
      while (n->core().has_ready()) {
        pump(id.value);
        busy = true;
      }
      if (n->writes_in_flight() != 0 && !stalled_disk.contains(id)) {
        n->finish_writes();
        check(*n);
        busy = true;
      }
    }
    while (deliver_one()) busy = true;
  }
}

void Cluster::tick_all(uint32_t ticks) {
  for (uint32_t i = 0; i < ticks; ++i)
    for (auto& [id, n] : nodes_)
      if (n->running()) n->core().tick();
}

void Cluster::run(uint32_t ticks) {
  for (uint32_t i = 0; i < ticks; ++i) {
    tick_all(1);
    settle();
  }
}

std::string Cluster::status() const {
  std::string out;
  for (auto& [id, node] : nodes_) {
    out += std::to_string(id.value) + ": ";
    if (!node->running()) {
      out += "down\n";
      continue;
    }
    const RaftCore& core = node->core();
    out += std::string(role_name(core.role())) + " term=" + std::to_string(core.term().value) +
           " last=" + std::to_string(core.log().last().index.value) + "/" +
           std::to_string(core.log().last().term.value) +
           " durable=" + std::to_string(core.durable_index().value) +
           " commit=" + std::to_string(core.commit_index().value) + " " + to_string(core.config()) + "\n";
  }
  return out;
}

uint64_t Cluster::leader() const {
  const RaftCore* best = nullptr;
  for (const auto& [id, n] : nodes_)
    if (n->running() && n->core().is_leader() && (best == nullptr || n->core().term() > best->term()))
      best = &n->core();
  return best == nullptr ? 0 : best->id().value;
}

void Cluster::elect(uint64_t id) {
  node(id)->campaign();
  settle();
  ASSERT_TRUE(node(id)->is_leader());
}

}  // namespace quorate::raft::testing
