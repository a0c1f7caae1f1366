// The host's Offload service: jobs of plugins, such as signing, on a helper thread.
#pragma once

#include "quorate/runtime.h"

namespace quorate::host {

class LoopOffload final : public plugin::Counted<plugin::Offload> {
 public:
  // Jobs run on that lane. At most `most_jobs` wait or run at a time, so that peers who cause them cannot
  // fill memory.
  explicit LoopOffload(Executor* executor, Lane lane = Lane::kRead, uint32_t most_jobs = 4096)
      : executor_(executor), lane_(lane), most_jobs_(most_jobs) {}

  plugin::Status submit(plugin::Job* job) noexcept override {
    if (jobs_ >= most_jobs_)
      return plugin::Status(plugin::Code::kRetryable, "too many jobs wait for a helper thread");
    ++jobs_;
    auto kept = plugin::Ref<plugin::Job>::share(job);
    auto self = plugin::Ref<LoopOffload>::share(this);
    executor_->offload(
        lane_, [kept] { kept->run(); },
        [kept, self] {
          --self->jobs_;
          kept->done();
        });
    return {};
  }

 private:
  Executor* const executor_;
  const Lane lane_;
  const uint32_t most_jobs_;
  uint32_t jobs_ = 0;  // [loop]
};

}  // namespace quorate::host
