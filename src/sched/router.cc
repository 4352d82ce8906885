#include "sched/router.h"

#include <algorithm>
#include <utility>

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

struct Expected {
  Duration wait{0};
  Duration end{0};  // from now to the answer
};

// `fastest`: the shortest run of any candidate, which what is about as short counts as.
Expected expect(const Candidate& candidate, const ModelLoad& unknown, Duration fastest, Duration similar,
                TimePoint now) {
  const bool known = candidate.model.run > Duration{0};
  const Duration each = known ? candidate.model.each : unknown.each;
  const Duration run = known ? candidate.model.run : unknown.run;
  const Duration device_wait = candidate.free_at > now ? candidate.free_at - now : Duration{0};
  const Duration model_wait = each * static_cast<Duration::rep>(candidate.model.waiting);
  const Duration wait = std::max(device_wait, model_wait);
  return {wait, wait + (run <= fastest + similar ? fastest : run)};
}

// Of devices where the request ends about as soon the least one is taken.
std::pair<std::uint64_t, std::uint64_t> rank(const Candidate& candidate) {
  return {candidate.model.waiting + candidate.model.running, candidate.routed};
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
  Expected first{Duration{0}, kForever};
  for (const Candidate& candidate : candidates) {
    const Expected one = expect(candidate, unknown, fastest, similar, now);
    first = one.end < first.end ? one : first;
  }
  const Duration about_then = first.end + std::max(similar, first.wait / kPartOfWait);
  std::size_t best = candidates.size();
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const std::size_t at = (begin + i) % candidates.size();
    const bool fewer = best == candidates.size() || rank(candidates[at]) < rank(candidates[best]);
    if (fewer && expect(candidates[at], unknown, fastest, similar, now).end <= about_then) {
      best = at;
    }
  }
  return best;
}

}  // namespace tessera::sched
