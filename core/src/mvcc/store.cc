#include "mvcc/store.h"

#include "base/assert.h"
#include "mvcc/apply.h"
#include "mvcc/store_impl.h"

namespace quorate::mvcc {

StoreImpl::StoreImpl(Runtime runtime, plugin::Engine* engine, std::string directory,
                     std::vector<std::pair<std::string, std::string>> options,
                     const StoreOptions& store_options, Events events)
    : runtime_(runtime),
      options_(store_options),
      writer_(runtime, engine, std::move(directory), std::move(options), store_options, std::move(events)),
      cache_(store_options.cache_bytes),
      cold_(runtime.executor, &writer_),
      apply_(std::make_unique<ApplyImpl>(this)) {}

StoreImpl::~StoreImpl() { runtime_.executor->cancel(compaction_timer_); }

plugin::Status Store::open(Runtime runtime, plugin::Engine* engine, std::string directory,
                           std::vector<std::pair<std::string, std::string>> options,
                           const StoreOptions& store_options, Events events, std::unique_ptr<Store>* out,
                           Recovered* recovered) {
  auto store = std::make_unique<StoreImpl>(runtime, engine, std::move(directory), std::move(options),
                                           store_options, std::move(events));
  plugin::Status status = store->recover(recovered);
  if (status.ok()) *out = std::move(store);
  return status;
}

std::span<const Event> StoreImpl::apply(Index index, Term term, const std::function<void(Apply&)>& body) {
  QUORATE_ASSERT(index > state_.applied, "entries are applied in order, each once");
  // What one large entry needed is not kept for ever.
  constexpr size_t kUsual = 4096;
  events_.clear();
  if (events_.capacity() > kUsual) events_.shrink_to_fit();
  apply_->run(body, ApplyImpl::Mode::kWrite);
  apply_->end(index, term);
  return events_;
}

void StoreImpl::view(const std::function<void(Apply&)>& body) { apply_->run(body, ApplyImpl::Mode::kRead); }

std::optional<KeyVersion> StoreImpl::get(std::string_view key) const {
  const KeyEntry* entry = index_.find(key);
  if (entry == nullptr || !entry->live()) return std::nullopt;
  return entry->newest();
}

void StoreImpl::scan(const api::Interval& interval,
                     const std::function<bool(std::string_view key, const KeyVersion&)>& visit) const {
  index_.scan(interval,
              [&](const KeyEntry& entry) { return !entry.live() || visit(entry.key(), entry.newest()); });
}

void StoreImpl::for_each_leased(const std::function<void(std::string_view key, int64_t lease)>& visit) const {
  index_.scan(api::Interval::all(), [&](const KeyEntry& entry) {
    if (entry.live() && entry.lease != 0) visit(entry.key(), entry.lease);
    return true;
  });
}

plugin::Status StoreImpl::close() { return writer_.close(); }

}  // namespace quorate::mvcc
