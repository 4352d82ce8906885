// One run of a search or a comparison against a server.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/load.h"
#include "apps/load_tenants.h"
#include "apps/progress.h"
#include "base/result.h"
#include "base/time.h"
#include "loadgen/generator.h"
#include "loadgen/outcome.h"
#include "loadgen/target.h"

namespace tessera::apps {

// For what a trial left on its way.
inline constexpr Duration kBetweenTrials = std::chrono::seconds(30);

// Owned by one thread; must not outlive what it is made of.
class TrialRunner {
 public:
  TrialRunner(const LoadOptions& options, const LoadPlan& plan, loadgen::Target& target)
      : options_(options), plan_(plan), generator_(target) {}

  // As loadgen::Trial, once more where the generator itself was too slow. `who` is told beside the rate. Returns when
  // nothing of it is on its way any more.
  Result<loadgen::Outcome> run(double rate, std::uint64_t seed, Duration length,
                               const std::vector<std::uint64_t>& most_misses, const std::string& who = {});

  // When the counted time of the latest run began.
  TimePoint began() const { return began_; }

  // Nothing of its progress is shown until the next run.
  void clear_progress() { progress_.clear(); }

  // The rate at which the generator was too slow twice, and why; empty: none.
  const std::string& invalid() const { return invalid_; }

 private:
  const LoadOptions& options_;
  const LoadPlan& plan_;
  loadgen::Generator generator_;
  Progress progress_;
  std::string invalid_;
  TimePoint began_{};
};

}  // namespace tessera::apps
