// Which device a request goes to: the one where it would be answered first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/time.h"

namespace tessera::sched {

// What the scheduler of a device says of its work as a whole. Value.
struct DeviceLoad {
  // When all that runs and waits would be done, spread over the whole device: work that comes now starts about then. A
  // launch that is overdue counts for as long again as it is overdue, atoms of launches that do not end count for
  // nothing. In the past for an idle device; an hour ahead where no atom is left.
  TimePoint free_at = TimePoint::min();
  // The same without the waiting requests of models that have no objective: those with one go before them.
  TimePoint free_for_objectives = TimePoint::min();
};

// What it says of one of its models. Value.
struct ModelLoad {
  Duration each{0};  // what a waiting request adds to its model's wait, at the model's best batch; 0: not known
  Duration run{0};   // of one request alone in the fastest slice; 0: not known
  std::uint64_t waiting = 0;  // requests
  std::uint64_t running = 0;  // requests, in batches
};

// A device that holds the model of a request. Value.
struct Candidate {
  TimePoint free_at = TimePoint::min();  // of DeviceLoad, by whether the model has an objective
  ModelLoad model;
  std::uint64_t routed = 0;  // requests of the model that were sent there, ever
};

// Immutable, and pure: may be asked by any number of threads at once, whatever they know by then.
class Router {
 public:
  // The place in `candidates` (at least one) of the device where the request ends first. Of those where it ends about
  // as soon, the one with the fewest requests of the model, then the one that got the fewest so far, so
  // that equal devices carry equal loads; of several such the first from place `begin` on. But an idle device that was
  // passed over more than kTryAgainAfter times for each request it got is tried again: a prediction only mends where
  // the model runs, so one that is too high would keep its device unused for ever.
  std::size_t choose(std::span<const Candidate> candidates, TimePoint now, std::size_t begin) const;

 private:
  static std::optional<std::size_t> find_neglected(std::span<const Candidate> candidates, TimePoint now);

  // Waits and runs that differ by so much of the fastest run count as equal: predictions are no better, and each device
  // learns its own.
  static constexpr std::int64_t kPartOfRun = 4;
  // A wait is not known better than by this part: models take turns and share the device, so what came later may run
  // first. Measured in closed loop on two and four devices (tests/sim/router_test.cc): 0.946 and 0.899 of
  // what each answers alone without it, 0.997 and 0.991 with it.
  static constexpr std::int64_t kPartOfWait = 2;
  // And less than this never counts: about what a thread switch or two take.
  static constexpr Duration kNoDifference = std::chrono::microseconds(100);
  // One request in so many is what a device costs that is slow indeed.
  static constexpr std::uint64_t kTryAgainAfter = 256;
  // Of a model that nobody has seen running: long enough for a queue of it to count.
  static constexpr Duration kUnknownRun = std::chrono::milliseconds(1);
};

}  // namespace tessera::sched
