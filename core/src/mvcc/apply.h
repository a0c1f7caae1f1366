// The changes of one entry. Private to this folder.
#pragma once

#include <string>

#include "mvcc/store_impl.h"

namespace quorate::mvcc {

class ApplyImpl final : public Apply {
 public:
  explicit ApplyImpl(StoreImpl* store) : store_(*store) {}
  enum class Mode : uint32_t { kIdle, kRead, kWrite };
  void run(const std::function<void(Apply&)>& body, Mode mode);
  // Of a kWrite run: publishes what it changed.
  void end(Index index, Term term);

  int64_t revision() const override { return store_.state_.revision + (next_sub_ == 0 ? 0 : 1); }
  std::optional<KeyVersion> get(std::string_view key) const override;
  void scan(const api::Interval& interval,
            const std::function<bool(std::string_view, const KeyVersion&)>& visit) const override;
  int64_t count(const api::Interval& interval) const override;
  std::optional<KeyVersion> put(std::string_view key, std::string_view value, int64_t lease) override;
  int64_t remove(const api::Interval& interval,
                 const std::function<void(std::string_view, const KeyVersion&)>& deleted) override;
  void set_meta(std::string_view key, std::string_view value) override;
  Found range(const RangeQuery& query) const override;

  void compact(int64_t revision);

 private:
  Revision next_revision() { return {store_.state_.revision + 1, next_sub_++}; }
  void check_writable() const;
  plugin::ByteView write(const KeyValueView& kv, Revision revision, bool tombstone);
  void bury(KeyEntry* entry);
  // What the entry did joins the state hash: kind and bytes.
  void chain(uint32_t kind, std::string_view a, std::string_view b = {});

  StoreImpl& store_;
  Mode mode_ = Mode::kIdle;
  int64_t next_sub_ = 0;
  std::string meta_key_;
  std::string meta_value_;
};

}  // namespace quorate::mvcc
