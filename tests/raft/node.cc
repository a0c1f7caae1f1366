#include "raft/node.h"

namespace quorate::raft::testing {

void Disk::write(const AppendTask& task) {
  if (task.base) {
    std::optional<Term> term;
    if (task.base->index > base.index && task.base->index - base.index <= entries.size())
      term = entries[task.base->index - base.index - 1].term;
    if (term == task.base->term)
      entries.erase(entries.begin(), entries.begin() + static_cast<long>(task.base->index - base.index));
    else
      entries.clear();
    base = {task.base->index, task.base->term};
    applied = base.index;
    config = task.base->config;
  }
  if (task.hard_state) hard_state = *task.hard_state;
  if (task.entries.empty()) return;
  entries.resize(task.entries.front().index - base.index - 1);
  entries.insert(entries.end(), task.entries.begin(), task.entries.end());
}

void Disk::compact(Index to) {
  if (to <= base.index) return;
  const Term term = entries[to - base.index - 1].term;
  entries.erase(entries.begin(), entries.begin() + static_cast<long>(to - base.index));
  base = {to, term};
}

Ready Node::pump() {
  Ready ready = core_->take_ready();
  if (ready.append) writes_.push_back(*ready.append);
  for (const ConfigApplied& change : ready.config_changes) configs_[change.index] = change.config;
  for (const Entry& entry : ready.committed) applied[entry.index] = entry;
  if (!ready.committed.empty()) core_->on_applied(ready.committed.back().index);
  return ready;
}

void Node::finish_write(bool report) {
  AppendTask task = std::move(writes_.front());
  writes_.pop_front();
  disk_.write(task);
  if (task.base && task.base->index == installing) installing = Index(0);
  if (report) core_->on_append_done(task.id);
}

Config Node::config_at(Index index) const {
  auto at = configs_.upper_bound(index);
  return std::prev(at)->second;
}

void Node::crash() {
  core_.reset();
  writes_.clear();
  installing = Index(0);
  applied.erase(applied.upper_bound(disk_.applied), applied.end());
}

void Node::start() {
  Restored restored{disk_.hard_state, disk_.base, disk_.entries, disk_.applied, disk_.config, Index(0)};
  configs_ = {{disk_.applied, disk_.config}};
  ++options_.seed;
  core_ = std::make_unique<RaftCore>(options_, std::move(restored));
}

std::vector<std::string> Node::applied_texts() const {
  std::vector<std::string> out;
  for (const auto& [index, entry] : applied)
    if (entry.type == EntryType::kNormal) out.push_back(text(entry.data));
  return out;
}

}  // namespace quorate::raft::testing
