#include "mvcc/cold_reader.h"

namespace quorate::mvcc {
namespace {

constexpr uint32_t kMaxTries = 3;  // a view expires when the engine is reopened under it

// Takes the answers of a multi-get, or of single gets from `first` on.
class AnswerSink final : public plugin::ReadSink {
 public:
  AnswerSink(const std::vector<RecordKey>& keys, const std::vector<ColdReader::Want>& wants,
             std::vector<ColdReader::Answer>* answers)
      : keys_(keys), wants_(wants), answers_(answers) {}
  uint32_t entry(uint64_t position, uint32_t found, plugin::ByteView,
                 plugin::ByteView value) noexcept override {
    size_t i = first + position;
    if (i >= keys_.size()) return 0;
    ColdReader::Answer& answer = (*answers_)[i];
    plugin::ByteView record;
    if (found == 0)
      answer.status = plugin::Status(plugin::Code::kNotFound);
    else if (!open_record(keys_[i].view(), value, &record))
      answer.status = plugin::Status(plugin::Code::kCorruption,
                                     "the record of " + describe(wants_[i].revision) + " fails its checksum");
    else
      answer = {plugin::Status(), plugin::Buffer::copy_of(record)};
    return 1;
  }
  size_t first = 0;

 private:
  const std::vector<RecordKey>& keys_;
  const std::vector<ColdReader::Want>& wants_;
  std::vector<ColdReader::Answer>* answers_;
};

}  // namespace

struct ColdReader::Round {
  std::vector<Want> wants;
  std::vector<RecordKey> keys;
  std::vector<Answer> answers;
  std::vector<Request> requests;
  EngineWriter::Handle handle;
  plugin::Status status;
  uint32_t tries = 0;
};

void ColdReader::read(std::vector<Want> wants, Done done) {
  if (next_ == nullptr) {
    next_ = std::make_shared<Round>();
    executor_->defer([this, alive = std::weak_ptr<bool>(alive_)] {
      if (!alive.expired()) start_round();
    });
  }
  next_->requests.push_back({wants.size(), std::move(done)});
  for (const Want& want : wants) {
    next_->keys.emplace_back(want.revision, want.tombstone);
    next_->wants.push_back(want);
  }
}

void ColdReader::start_round() { run(std::exchange(next_, nullptr)); }

void ColdReader::run(std::shared_ptr<Round> round) {
  writer_->with_engine([this, round, alive = std::weak_ptr<bool>(alive_)](EngineWriter::Handle handle) {
    round->handle = std::move(handle);
    if (round->handle.get() == nullptr) {
      round->status = plugin::Status(plugin::Code::kIo, "the engine is not open: " + writer_->why());
      finish(*round);
      return;
    }
    executor_->offload(
        Lane::kRead, [round] { work(*round); },
        [this, round, alive] {
          if (alive.expired()) return;
          round->handle = EngineWriter::Handle();
          if (round->status.code() == plugin::Code::kViewExpired && ++round->tries < kMaxTries)
            run(round);
          else
            finish(*round);
        });
  });
}

void ColdReader::work(Round& round) {
  round.answers.assign(round.keys.size(), Answer());
  plugin::Ref<plugin::ReadView> view;
  round.status = round.handle.get()->new_read_view(view.out());
  if (!round.status.ok()) return;
  std::vector<plugin::ByteView> keys;
  keys.reserve(round.keys.size());
  for (const RecordKey& key : round.keys) keys.push_back(key.view());
  AnswerSink sink(round.keys, round.wants, &round.answers);
  round.status = view->multi_get(kRecordsKeyspace, {keys.data(), keys.size()}, &sink);
  if (round.status.code() != plugin::Code::kCorruption) return;
  // One bad record must not fail the others: find out which it is.
  round.status = plugin::Status();
  for (size_t i = 0; i < keys.size(); ++i) {
    sink.first = i;
    plugin::Status status = view->get(kRecordsKeyspace, keys[i], &sink);
    if (status.code() == plugin::Code::kCorruption)
      round.answers[i].status =
          plugin::Status(plugin::Code::kCorruption,
                         "the record of " + describe(round.wants[i].revision) + ": " + status.text());
    else if (!status.ok())
      round.answers[i].status = status;
  }
}

void ColdReader::finish(Round& round) {
  if (!round.status.ok()) {
    round.answers.assign(round.keys.size(), Answer());
    for (Answer& answer : round.answers) answer.status = round.status;
  }
  std::weak_ptr<bool> alive = alive_;
  size_t at = 0;
  for (Request& request : round.requests) {
    auto begin = round.answers.begin() + static_cast<ptrdiff_t>(at);
    at += request.count;
    request.done(std::vector<Answer>(begin, begin + static_cast<ptrdiff_t>(request.count)));
    if (alive.expired()) return;
  }
}

}  // namespace quorate::mvcc
