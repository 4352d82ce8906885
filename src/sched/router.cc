#include "sched/router.h"

#include <algorithm>

#include "base/check.h"

namespace tessera::sched {
namespace {

// What a device is assumed to take that has not run the model yet: as long as the slowest that has.
ModelLoad assumed(std::span<const Candidate> candidates, Duration otherwise) {
  ModelLoad slowest;
  for (const Candidate& candidate : candidates) {
    slowest.each = std::max(slowest.each, candidate.model.each);
    slowest.run = std::max(slowest.run, candidate.model.run);
  }
  if (slowest.run == Duration{0}) {
    slowest.each = slowest.run = otherwise;
  }
  return slowest;
}

// From now to the answer. `fastest`: the shortest run of any candidate, which what is about as short counts as.
Duration time_to_end(const Candidate& candidate, const ModelLoad& unknown, Duration fastest, Duration similar,
                     TimePoint now) {
  const bool known = candidate.model.run > Duration{0};
  const Duration each = known ? candidate.model.each : unknown.each;
  const Duration run = known ? candidate.model.run : unknown.run;
  const Duration device_wait = candidate.free_at > now ? candidate.free_at - now : Duration{0};
  const Duration model_wait = each * static_cast<Duration::rep>(candidate.model.waiting);
  return std::max(device_wait, model_wait) + (run <= fastest + similar ? fastest : run);
}

}  // namespace

std::optional<std::size_t> Router::find_neglected(std::span<const Candidate> candidates, TimePoint now) {
  std::uint64_t most = 0;
  for (const Candidate& candidate : candidates) {
    most = std::max(most, candidate.routed);
  }
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const bool idle = candidates[i].free_at <= now && candidates[i].model.waiting == 0;
    if (idle && most / kTryAgainAfter > candidates[i].routed) {
      return i;
    }
  }
  return std::nullopt;
}

std::size_t Router::choose(std::span<const Candidate> candidates, TimePoint now, std::size_t begin) const {
  TESSERA_CHECK(!candidates.empty());
  if (candidates.size() == 1) {
    return 0;
  }
  if (const auto neglected = find_neglected(candidates, now)) {
    return *neglected;
  }
  const ModelLoad unknown = assumed(candidates, kUnknownRun);
  Duration fastest = unknown.run;
  for (const Candidate& candidate : candidates) {
    fastest = candidate.model.run > Duration{0} ? std::min(fastest, candidate.model.run) : fastest;
  }
  const Duration similar = std::max(fastest / kPartOfRun, kNoDifference);
  Duration first = kForever;
  for (const Candidate& candidate : candidates) {
    first = std::min(first, time_to_end(candidate, unknown, fastest, similar, now));
  }
  std::size_t best = candidates.size();
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const std::size_t at = (begin + i) % candidates.size();
    const bool fewer = best == candidates.size() || candidates[at].routed < candidates[best].routed;
    if (fewer && time_to_end(candidates[at], unknown, fastest, similar, now) <= first + similar) {
      best = at;
    }
  }
  return best;
}

}  // namespace tessera::sched
