#include "mvcc/model.h"

#include <algorithm>

#include "base/crc32c.h"

namespace quorate::test {
namespace {

std::string encoded(const mvcc::KeyValueView& kv) {
  plugin::Buffer b = mvcc::encode(kv);
  return {b.chars(), b.size()};
}

bool selects(const std::string& key, const std::string& end, const std::string& candidate) {
  if (end.empty()) return candidate == key;
  if (end == std::string(1, '\0')) return candidate >= key;
  return candidate >= key && candidate < end;
}

}  // namespace

std::string ModelVersion::record() const {
  if (tombstone) return encoded({key, {}, 0, 0, 0, 0});
  return encoded({key, value, create, mod.main, version, lease});
}

std::string ModelVersion::event() const {
  if (tombstone) return encoded({key, {}, 0, mod.main, 0, 0});
  return record();
}

std::vector<ModelVersion> Model::apply(const ModelEntry& entry) {
  std::vector<ModelVersion> events;
  auto add = [&](ModelVersion v) {
    v.mod = {revision + 1, static_cast<int64_t>(events.size())};
    keys_[v.key].push_back(v);
    history[v.mod] = v;
    events.push_back(v);
  };
  for (const ModelOp& op : entry) {
    switch (op.kind) {
      case ModelOp::kPut: {
        ModelVersion v;
        v.key = op.key;
        v.value = op.value;
        v.lease = op.number;
        const auto& versions = keys_[op.key];
        bool live = !versions.empty() && !versions.back().tombstone;
        v.create = live ? versions.back().create : revision + 1;
        v.version = live ? versions.back().version + 1 : 1;
        add(v);
        break;
      }
      case ModelOp::kRemove: {
        std::vector<std::string> doomed;
        for (const auto& [key, versions] : keys_)
          if (!versions.empty() && !versions.back().tombstone && selects(op.key, op.end, key))
            doomed.push_back(key);
        for (const std::string& key : doomed) {
          ModelVersion v;
          v.key = key;
          v.tombstone = true;
          add(v);
        }
        break;
      }
      case ModelOp::kMeta:
        if (op.value.empty())
          meta.erase(op.key);
        else
          meta[op.key] = op.value;
        break;
      case ModelOp::kCompact:
        compacted = op.number;
        break;
    }
  }
  if (!events.empty()) ++revision;
  return events;
}

std::optional<ModelVersion> Model::at(const std::string& key, int64_t at_revision) const {
  auto found = keys_.find(key);
  if (found == keys_.end()) return std::nullopt;
  std::optional<ModelVersion> result;
  for (const ModelVersion& v : found->second)
    if (v.mod.main <= at_revision) result = v;
  if (result && result->tombstone) result.reset();
  return result;
}

std::optional<ModelVersion> Model::before(const std::string& key, Revision revision_of) const {
  if (revision_of.main - 1 < compacted) return std::nullopt;
  std::optional<ModelVersion> result;
  for (const ModelVersion& v : keys_.at(key))
    if (v.mod < revision_of) result = v;
  if (result && result->tombstone) result.reset();
  return result;
}

int64_t Model::keys() const {
  return std::count_if(keys_.begin(), keys_.end(),
                       [](const auto& k) { return !k.second.empty() && !k.second.back().tombstone; });
}

ModelAnswer Model::range(const ModelQuery& q) const {
  using mvcc::SortOrder;
  using mvcc::SortTarget;
  const mvcc::RangeQuery& r = q.query;
  ModelAnswer out;
  int64_t at_revision = r.revision <= 0 ? revision : r.revision;
  if (at_revision > revision) out.error = mvcc::ReadError::kFuture;
  if (at_revision < compacted) out.error = mvcc::ReadError::kCompacted;
  if (out.error != mvcc::ReadError::kNone) return out;
  std::vector<ModelVersion> found;
  for (const auto& [key, versions] : keys_)
    if (selects(q.key, q.end, key))
      if (auto v = at(key, at_revision)) found.push_back(*v);
  out.count = static_cast<int64_t>(found.size());
  if (r.count_only) return out;
  bool filters = r.min_mod != 0 || r.max_mod != 0 || r.min_create != 0 || r.max_create != 0;
  bool default_order =
      r.order == SortOrder::kNone || (r.target == SortTarget::kKey && r.order == SortOrder::kAscend);
  if (default_order && !filters && r.limit > 0 && found.size() > static_cast<size_t>(r.limit) + 1)
    found.resize(static_cast<size_t>(r.limit) + 1);
  std::erase_if(found, [&](const ModelVersion& v) {
    return (r.min_mod != 0 && v.mod.main < r.min_mod) || (r.max_mod != 0 && v.mod.main > r.max_mod) ||
           (r.min_create != 0 && v.create < r.min_create) || (r.max_create != 0 && v.create > r.max_create);
  });
  auto less = [&](const ModelVersion& a, const ModelVersion& b) {
    switch (r.target) {
      case SortTarget::kKey:
        return a.key < b.key;
      case SortTarget::kVersion:
        return a.version < b.version;
      case SortTarget::kCreate:
        return a.create < b.create;
      case SortTarget::kMod:
        return a.mod.main < b.mod.main;
      case SortTarget::kValue:
        return a.value < b.value;
    }
    return false;
  };
  if (r.order == SortOrder::kDescend)
    std::stable_sort(found.begin(), found.end(), [&](const auto& a, const auto& b) { return less(b, a); });
  else
    std::stable_sort(found.begin(), found.end(), less);
  if (r.limit > 0 && found.size() > static_cast<size_t>(r.limit)) {
    found.resize(static_cast<size_t>(r.limit));
    out.more = true;
  }
  for (ModelVersion v : found) {
    if (r.keys_only) {
      v.value.clear();
      if (r.target != SortTarget::kValue) v.lease = 0;
    }
    out.records.push_back(v.record());
  }
  return out;
}

std::map<Revision, ModelVersion> Model::retained() const {
  std::map<Revision, ModelVersion> out;
  for (const auto& [key, versions] : keys_) {
    for (size_t i = 0; i < versions.size(); ++i) {
      bool superseded = i + 1 < versions.size() && versions[i + 1].mod.main <= compacted;
      bool buried = versions[i].tombstone && versions[i].mod.main < compacted;
      if (!superseded && !buried) out[versions[i].mod] = versions[i];
    }
  }
  return out;
}

uint32_t Model::hash_kv(int64_t at_revision) const {
  std::map<Revision, bool> keep;
  for (const auto& [key, versions] : keys_)
    if (auto v = at(key, at_revision)) keep[v->mod] = true;
  uint32_t hash = crc32c("key", 3);
  for (const auto& [mod, v] : retained()) {
    if (mod.main > at_revision) continue;
    if (mod.main <= compacted && !keep.empty() && !keep.contains(mod)) continue;
    if (mod.main == compacted && v.tombstone) continue;
    mvcc::RecordKey key(mod, v.tombstone);
    std::string record = v.record();
    hash = crc32c(key.view().data, key.view().size, hash);
    hash = crc32c(record.data(), record.size(), hash);
  }
  return hash;
}

}  // namespace quorate::test
