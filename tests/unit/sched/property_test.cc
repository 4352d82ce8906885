// Random lives of a device, checked against what must hold whatever happens. The rules for every single action (a lane
// or an atom never twice, only homed slices, nothing on what is lent) are in tests/support/virtual_world.h.
#include <gtest/gtest.h>

#include "tests/support/every_policy.h"
#include "tests/support/virtual_world.h"

namespace tessera::testing {
namespace {

struct Life {
  std::string log;
  std::size_t launches = 0;
};

class RandomLife {
 public:
  // `changes`: parameters and the policy change while it lasts.
  RandomLife(const std::string& policy, std::uint64_t seed, bool changes = false)
      : random_(seed), changes_(changes), world_(make_world(policy, seed)) {}

  Life live() {
    for (std::uint64_t i = 0, n = 1 + pick(6); i < n; ++i) {
      add_model(static_cast<int>(i));
    }
    for (std::uint64_t i = 0, n = pick(3) == 0 ? 3000 : 300; i < n; ++i) {
      world_.later(at(std::chrono::microseconds(pick(400'000))), [this] { event(); });
    }
    for (int i = 0; changes_ && i < 20; ++i) {
      world_.later(at(std::chrono::microseconds(pick(500'000))), [this] { change(); });
    }
    world_.later(at(150ms), [this] {
      world_.wanted_loader_slice = loader_slice(atoms_);
      world_.send(sched::LoaderWants{*world_.wanted_loader_slice, 5ms});
    });
    world_.later(at(1400ms), [this] { world_.loader_done(); });
    world_.run_to_rest();
    world_.expect_all_ended();
    EXPECT_EQ(world_.loader_grants(), 1);
    EXPECT_EQ(world_.timer(), kNever) << "nothing waits, so nothing is to be woken";
    check_timeouts();
    return {world_.log(), world_.launches().size()};
  }

 private:
  World make_world(const std::string& policy, std::uint64_t seed) {
    constexpr std::uint16_t kAtoms[] = {1, 2, 3, 4, 8, 16};
    atoms_ = kAtoms[pick(6)];
    World::Options options = World::with_policy(policy);
    options.seed = seed;
    options.noise = pick(2) == 0 ? 0.0 : 0.2;
    options.keep_log = true;
    options.limits.committed_per_atom = static_cast<std::uint16_t>(pick(2));
    options.limits.max_waiting = pick(4) == 0 ? 20 : 1000;
    options.home_everything = pick(2) == 0;
    return World(device_of(atoms_), options);
  }

  void add_model(int number) {
    auto params = model("m" + std::to_string(number), static_cast<std::int32_t>(1 + pick(9)));
    params.lanes = static_cast<std::uint16_t>(1 + pick(3));
    if (pick(3) > 0) {
      params.slo = std::chrono::milliseconds(5 + pick(100));
      params.slo_policy = pick(2) == 0 ? sched::SloPolicy::kReject : sched::SloPolicy::kBestEffort;
    }
    if (pick(3) == 0) {
      params.max_queue_delay = std::chrono::milliseconds(pick(10));
      params.preferred_batch_sizes = {std::max<std::int32_t>(1, params.max_batch_size / 2)};
    }
    params.preserve_ordering = pick(5) == 0;
    params.priority_levels = 3;
    params.default_priority = 2;
    if (pick(3) == 0) {
      params.default_queue_policy.default_timeout = std::chrono::milliseconds(20 + pick(100));
      params.default_queue_policy.timeout_action =
          pick(2) == 0 ? sched::TimeoutAction::kDelay : sched::TimeoutAction::kReject;
      params.default_queue_policy.max_queue_size = static_cast<std::uint32_t>(pick(30));
    }
    params.weight = 1.0 + static_cast<double>(pick(3));
    // A floor that is the whole device may starve the others, by what it means.
    params.reserved_share = number == 0 && atoms_ >= 4 && pick(2) == 0 ? 0.25 : 0.0;
    params.max_share = pick(4) == 0 ? 0.5 : 1.0;
    const bool rejects = params.default_queue_policy.timeout_action == sched::TimeoutAction::kReject;
    patience_.push_back(rejects ? params.default_queue_policy.default_timeout : kForever);
    max_rows_.push_back(params.max_batch_size);
    const Truth truth{.fixed = std::chrono::microseconds(pick(500)),
                      .per_row = std::chrono::microseconds(100 + pick(8000))};
    models_.push_back(world_.add_model(params, truth, pick(3) > 0));
  }

  void event() {
    const std::size_t which = pick(models_.size());
    auto arrival = world_.arrival(models_[which]);
    arrival.rows = static_cast<std::int32_t>(1 + pick(static_cast<std::uint64_t>(max_rows_[which])));
    arrival.shape = ShapeId{static_cast<std::uint32_t>(pick(3))};
    arrival.priority = static_cast<std::uint32_t>(pick(5));
    arrival.input_ready = pick(5) > 0;
    Duration patience = patience_[which];
    if (pick(4) == 0) {
      arrival.timeout = std::chrono::microseconds(pick(50'000));
      patience = std::min(patience, *arrival.timeout);
    }
    if (patience != kForever) {
      timeouts_[arrival.request] = patience;
    }
    const RequestId id = world_.request(arrival);
    if (!arrival.input_ready) {
      world_.later(world_.now() + std::chrono::microseconds(pick(3000)), [this, id] {
        world_.send(sched::InputReady{id, world_.now()});
      });
    }
    if (pick(10) == 0) {
      world_.later(world_.now() + std::chrono::microseconds(pick(20'000)), [this, id] { world_.cancel(id); });
    }
  }

  void change() {
    if (pick(2) == 0) {
      const auto all = every_policy(true, "m0");
      world_.send(sched::PolicyChanged{all[pick(all.size())]});
      return;
    }
    sched::LiveParams params;
    if (pick(3) > 0) {
      params.slo = std::chrono::milliseconds(1 + pick(100));
      params.slo_policy = pick(2) == 0 ? sched::SloPolicy::kReject : sched::SloPolicy::kBestEffort;
    }
    params.weight = 0.5 + static_cast<double>(pick(3));
    const std::size_t which = pick(models_.size());
    params.reserved_share = which == 0 && atoms_ >= 4 && pick(2) == 0 ? 0.25 : 0.0;
    params.max_share = pick(4) == 0 ? 0.5 : 1.0;
    world_.send(sched::ParamsChanged{models_[which], params});
  }

  // A wait that a timeout ended, ended at exactly that moment, and none lasted longer.
  void check_timeouts() const {
    for (const auto& [id, timeout] : timeouts_) {
      const Fate& fate = world_.fate(id);
      if (fate.launched) {
        EXPECT_LE(*fate.launched, fate.arrival + timeout);
      }
      if (fate.rejected && fate.reason == sched::RejectReason::kTimeout) {
        EXPECT_EQ(*fate.rejected, fate.arrival + timeout);
      } else if (fate.rejected) {
        EXPECT_LE(*fate.rejected, fate.arrival + timeout);
      }
    }
  }

  std::uint64_t pick(std::uint64_t below) { return random_() % below; }

  std::mt19937_64 random_;
  std::uint16_t atoms_ = 1;
  const bool changes_;
  World world_;
  std::vector<InstanceId> models_;
  std::vector<std::int32_t> max_rows_;
  std::vector<Duration> patience_;  // of each model's queue policy
  std::map<RequestId, Duration> timeouts_;
};

class Property : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Sched, Property, ::testing::ValuesIn(every_policy(true, "m0")), policy_as_name);

TEST_P(Property, EveryRequestEndsOnceAndNothingIsUsedTwice) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Life life = RandomLife(GetParam(), seed).live();
    EXPECT_GT(life.launches, 0U);
    if (HasFailure()) {
      return;
    }
  }
}

TEST_P(Property, TheSameHoldsWhileParametersAndPolicyChange) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Life life = RandomLife(GetParam(), seed, true).live();
    EXPECT_GT(life.launches, 0U);
    if (HasFailure()) {
      return;
    }
  }
}

TEST_P(Property, TheSameSeedGivesTheSameActionsByteForByte) {
  for (std::uint64_t seed = 100; seed <= 110; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const bool changes = seed % 2 == 0;
    const std::string once = RandomLife(GetParam(), seed, changes).live().log;
    EXPECT_EQ(once, RandomLife(GetParam(), seed, changes).live().log);
    EXPECT_NE(once, RandomLife(GetParam(), seed + 1000, changes).live().log);
  }
}

}  // namespace
}  // namespace tessera::testing
