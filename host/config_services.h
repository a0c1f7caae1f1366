// What the host gives plugins: files, clock, randomness, and a log that bears the plugin's name.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "host/log.h"
#include "quorate/plugin/host.h"

namespace quorate::host {

class Services final : public plugin::Counted<plugin::HostServices> {
 public:
  // All borrowed; they outlive the process' plugins.
  Services(plugin::Files* files, plugin::Clock* clock, plugin::Random* random, plugin::Ref<plugin::Log> log)
      : files_(files), clock_(clock), random_(random), log_(std::move(log)) {}

  void* query(const char* id) noexcept override {
    std::string_view wanted = id;
    if (wanted == plugin::HostServices::kId) return static_cast<plugin::HostServices*>(this);
    if (wanted == plugin::Files::kId) return files_;
    if (wanted == plugin::Clock::kId) return clock_;
    if (wanted == plugin::Random::kId) return random_;
    if (wanted == plugin::Log::kId) return log_.get();
    return nullptr;
  }

 private:
  plugin::Files* files_;
  plugin::Clock* clock_;
  plugin::Random* random_;
  plugin::Ref<plugin::Log> log_;
};

}  // namespace quorate::host
