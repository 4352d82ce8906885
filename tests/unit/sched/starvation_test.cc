// Nobody starves under policy tessera: over random lives, whoever has an objective or a reserved share begins within a
// bound that follows from weights and batches. Models with neither may wait for ever, so they are not looked at.
//
// The bound. When not all demand fits, each backlogged model i with an objective is entitled to w / W of the
// processor-seconds, w being its weight and W that of all models with objectives; a model counts as over its
// entitlement from kOver times that on. So, for a request with n batches of its own model to run up to its own:
// - it may be held until its latest start, and is preferred to what is not late only once it is: slo;
// - before that its model may have used more than it is entitled to, of which e^(-t / memory) is remembered after t,
//   and the device is only seen to be overloaded after as long: memory * (1 + ln(kOver * W / w));
// - n batches, each of at most C device-seconds, at its entitlement of what is used of the device and not reserved for
//   others (part R): n * C * kOver * W / w / (kUsed * (1 - R));
// - batches cannot be interrupted, so each other model may be ahead of its share by one: M times the longest batch.
// Where the device is not overloaded, deadlines alone decide, and what is late runs in what that leaves: at least
// 1 - kFull of the device, in place of the entitlement.
// A request of a model with a reserved share waits for the longest batch, to which its atoms may be lent, and then for
// n batches there.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/virtual_world.h"

namespace tessera::testing {
namespace {

constexpr double kOver = 1.1;         // of an entitlement, from which on the others come first
constexpr double kFull = 0.95;        // of the device, asked for: from there on it is overloaded
constexpr double kUsed = 0.7;         // of the device, while somebody is late: slices and lanes never fit all the time
constexpr Duration kMemory = 500ms;   // of what a model has used
constexpr double kNoise = 0.05;       // deviation of the logarithm of a run's time
constexpr double kLongerRuns = 1.15;  // than without noise: three deviations
constexpr Duration kLoadLasts = 2500ms;

double seconds(Duration span) { return std::chrono::duration<double>(span).count(); }

class CrowdedLife {
 public:
  explicit CrowdedLife(std::uint64_t seed) : random_(seed), seed_(seed), world_(make_world(seed)) {}

  struct Waits {
    int requests = 0;
    double longest = 0;  // part of its bound
  };

  Waits live() {
    for (std::uint64_t i = 0, n = 2 + pick(11); i < n; ++i) {
      add_model(i);
    }
    // What all ask for together, in parts of the device.
    constexpr double kLoads[] = {0.5, 0.8, 1.4, 2.0, 3.0};
    load_ = kLoads[pick(5)];
    for (std::size_t i = 0; i < models_.size(); ++i) {
      const double each = load_ * models_[i].part / parts_;
      world_.poisson(models_[i].id, each / models_[i].least_per_row, at(kLoadLasts), seed_ * 100 + i);
    }
    world_.run_until(kLoadLasts);
    for (const Model& model : models_) {
      check(model);
    }
    return waits_;
  }

 private:
  struct Model {
    InstanceId id;
    double part = 1;           // of the load
    double least_per_row = 0;  // device-seconds, in the batch and slice that take least
    double batch = 0;          // device-seconds of a batch, in the slice that takes most
    Duration longest{0};       // run
  };

  World make_world(std::uint64_t seed) {
    constexpr std::uint16_t kAtoms[] = {1, 2, 4, 8, 16};
    atoms_ = kAtoms[pick(5)];
    World::Options options = World::with_policy("tessera");
    options.seed = seed;
    options.noise = kNoise;
    options.limits.max_waiting = 1'000'000;
    options.limits.committed_per_atom = static_cast<std::uint16_t>(pick(2));
    return World(device_of(atoms_), options);
  }

  void add_model(std::uint64_t number) {
    auto params = model("m" + std::to_string(number), static_cast<std::int32_t>(1 + pick(8)));
    params.lanes = static_cast<std::uint16_t>(1 + pick(3));
    const std::uint64_t kind = pick(8);
    if (kind > 0) {
      params.slo = std::chrono::milliseconds(20 + pick(180));
      params.slo_policy = kind < 3 ? sched::SloPolicy::kReject : sched::SloPolicy::kBestEffort;
    }
    constexpr double kWeights[] = {1, 1, 1, 2, 8};
    params.weight = kWeights[pick(5)];
    if (number == 0 && atoms_ >= 4 && pick(2) == 0) {
      params.reserved_share = 0.25;
      reserved_ = 0.25;
    }
    const Truth truth{.fixed = std::chrono::microseconds(pick(1000)),
                      .per_row = std::chrono::microseconds(4000 + pick(16'000))};
    Model one{world_.add_model(params, truth)};
    one.part = 0.2 + 0.2 * static_cast<double>(pick(10));
    parts_ += one.part;
    one.least_per_row = 1e9;
    for (const std::int32_t bucket : params.buckets) {
      for (const Slice& slice : world_.shape().ladder) {
        const Duration run = truth(bucket, slice.count);
        const double takes = seconds(run) * slice.count / atoms_;
        one.least_per_row = std::min(one.least_per_row, takes / bucket);
        one.batch = std::max(one.batch, takes * kLongerRuns);
        one.longest =
            std::max(one.longest, Duration(static_cast<Duration::rep>(kLongerRuns * static_cast<double>(run.count()))));
      }
    }
    longest_ = std::max(longest_, one.longest);
    weights_ += params.slo ? params.weight : 0;
    models_.push_back(one);
  }

  // Seconds from the arrival of a request that has so many batches to run up to its own.
  double bound(const Model& model, double batches) const {
    const sched::ModelParams& params = world_.params(model.id);
    const double all = static_cast<double>(models_.size());
    double bound = 1e9;
    if (params.slo) {
      const double over = kOver * weights_ / params.weight;
      const double others_reserve = params.reserved_share > 0 ? 0 : reserved_;
      const double slowed =
          load_ > 1 ? over / (kUsed * (1 - others_reserve)) : std::max(over, 1 / (1 - kFull)) / (1 - others_reserve);
      bound = seconds(*params.slo) + seconds(kMemory) * (1 + std::log(over)) + batches * model.batch * slowed +
              all * seconds(longest_);
    }
    if (params.reserved_share > 0) {
      const double held = params.slo ? seconds(*params.slo) : 0;
      bound = std::min(bound, held + 2 * seconds(longest_) + batches * seconds(model.longest));
    }
    return bound;
  }

  void check(const Model& model) {
    const sched::ModelParams& params = world_.params(model.id);
    if (!params.slo && params.reserved_share == 0) {
      return;
    }
    std::vector<const Fate*> fates;  // in the order of arrival
    for (const auto& [id, fate] : world_.fates()) {
      if (fate.instance == model.id) {
        fates.push_back(&fate);
      }
    }
    std::size_t first = 0;  // that still waits when the next one comes
    for (std::size_t i = 0; i < fates.size(); ++i) {
      const Fate& fate = *fates[i];
      const auto gone = [&](const Fate& one) { return one.launched.value_or(one.rejected.value_or(kNever)); };
      while (first < i && gone(*fates[first]) <= fate.arrival) {
        ++first;
      }
      if (fate.rejected) {
        continue;  // not accepted, or no longer
      }
      const auto ahead = static_cast<double>(i - first);
      const double batches = 1 + std::ceil(ahead / params.max_batch_size);
      const TimePoint begun = std::min(fate.launched.value_or(kNever), world_.now());
      const double part = seconds(begun - fate.arrival) / bound(model, batches);
      ++waits_.requests;
      waits_.longest = std::max(waits_.longest, part);
      ASSERT_LE(part, 1.0) << params.name << " of weight " << params.weight << " among " << models_.size() << " on "
                           << atoms_ << " atoms, load " << load_ << (fate.launched ? "" : ", has not begun yet: ")
                           << " waited " << seconds(begun - fate.arrival) << " s behind " << ahead << " since "
                           << seconds(fate.arrival.time_since_epoch()) << " s";
    }
  }

  std::uint64_t pick(std::uint64_t below) { return random_() % below; }

  std::mt19937_64 random_;
  const std::uint64_t seed_;
  std::uint16_t atoms_ = 1;
  World world_;
  std::vector<Model> models_;
  double parts_ = 0;
  double weights_ = 0;
  double load_ = 0;
  double reserved_ = 0;
  Duration longest_{0};
  Waits waits_;
};

TEST(Starvation, WhoHasAnObjectiveOrAFloorBeginsWithinItsBound) {
  int requests = 0;
  double longest = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const auto waits = CrowdedLife(seed).live();
    requests += waits.requests;
    longest = std::max(longest, waits.longest);
    if (HasFailure()) {
      return;
    }
  }
  EXPECT_GT(requests, 50'000);
  EXPECT_GT(longest, 0.5) << "a bound that nobody comes near says nothing";
}

}  // namespace
}  // namespace tessera::testing
