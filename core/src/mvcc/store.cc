#include "mvcc/store.h"

#include "base/assert.h"
#include "mvcc/apply.h"
#include "mvcc/store_impl.h"

namespace quorate::mvcc {

StoreImpl::StoreImpl(Runtime runtime, plugin::Engine* engine, std::string directory,
                     std::vector<std::pair<std::string, std::string>> options, const StoreOptions& store_options,
                     Events events)
    : runtime_(runtime),
      options_(store_options),
      writer_(runtime, engine, std::move(directory), std::move(options), store_options, std::move(events)),
      cache_(store_options.cache_bytes),
      cold_(runtime.executor, &writer_),
      apply_(std::make_unique<ApplyImpl>(this)) {}

StoreImpl::~StoreImpl() { runtime_.executor->cancel(compaction_timer_); }

plugin::Status Store::open(Runtime runtime, plugin::Engine* engine, std::string directory,
                           std::vector<std::pair<std::string, std::string>> options, const StoreOptions& store_options,
                           Events events, std::unique_ptr<Store>* out, Recovered* recovered) {
  auto store = std::make_unique<StoreImpl>(runtime, engine, std::move(directory), std::move(options), store_options,
                                           std::move(events));
  plugin::Status status = store->recover(recovered);
  if (status.ok()) *out = std::move(store);
  return status;
}

std::span<const Event> StoreImpl::apply(Index index, Term term, const std::function<void(Apply&)>& body) {
  QUORATE_ASSERT(index > state_.applied, "entries are applied in order, each once");
  apply_->begin();
  body(*apply_);
  apply_->end(index, term);
  return events_;
}

plugin::Status StoreImpl::close() { return writer_.close(); }

}  // namespace quorate::mvcc
