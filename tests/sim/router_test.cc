// Several devices under one router on the virtual clock.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "sched/router.h"
#include "tests/support/virtual_world.h"

namespace tessera::testing {
namespace {

// Equal or unequal devices that hold the same models; requests come at Poisson times and go where the router says.
class RoutedWorlds {
 public:
  RoutedWorlds(std::size_t devices, const DeviceShape& shape, std::uint64_t seed) : random_(seed), work_(devices, 0) {
    for (std::size_t i = 0; i < devices; ++i) {
      World::Options options = World::with_policy("tessera");
      options.noise = 0.03;
      options.seed = seed + i;
      worlds_.push_back(std::make_unique<World>(shape, options));
    }
  }

  // `slower`: by how much the last device is slower than the others, which only its own observations tell.
  void add_model(const sched::ModelParams& params, Truth truth, double per_second, double slower = 1.0) {
    for (auto& world : worlds_) {
      const bool last = world == worlds_.back();
      const InstanceId id = world->add_model(params, truth);
      world->truth(id).slowdown = last ? slower : 1.0;
      if (&world == &worlds_.front()) {
        ids_.push_back(id);
      }
    }
    rates_.push_back(per_second);
    works_.push_back(std::chrono::duration<double>(truth(8, 8)).count());
    turns_.push_back(0);
    objectives_.push_back(params.slo.has_value());
  }

  void play(Duration length) {
    double all = 0;
    for (const double rate : rates_) {
      all += rate;
    }
    TimePoint now{};
    for (;;) {
      now += Duration(static_cast<Duration::rep>(-std::log(uniform()) / all * 1e9));
      if (now >= at(length)) {
        break;
      }
      double pick = uniform() * all;
      std::size_t model = 0;
      while (model + 1 < rates_.size() && pick >= rates_[model]) {
        pick -= rates_[model++];
      }
      arrive(model, now);
    }
    for (auto& world : worlds_) {
      world->run_to_rest();
      world->expect_all_ended();
    }
  }

  // Every model has as many requests on their way all the time. Answers a second, after the first second.
  double play_closed(Duration length, std::size_t outstanding) {
    constexpr Duration kStep = 10us;
    std::size_t answers = 0;
    for (std::size_t model = 0; model < ids_.size(); ++model) {
      for (std::size_t i = 0; i < outstanding; ++i) {
        arrive(model, TimePoint{});
      }
    }
    for (TimePoint now{}; now < at(length); now += kStep) {
      for (auto& world : worlds_) {
        world->run_until(now);
      }
      for (auto& world : worlds_) {
        for (const InstanceId id : world->take_answered()) {
          answers += now >= at(1s) ? 1 : 0;
          arrive(static_cast<std::size_t>(std::find(ids_.begin(), ids_.end(), id) - ids_.begin()), now);
        }
      }
    }
    return static_cast<double>(answers) / std::chrono::duration<double>(length - 1s).count();
  }

  double attainment(Duration from, Duration until) const {
    World::Score sum;
    for (const auto& world : worlds_) {
      for (const InstanceId id : ids_) {
        const auto score = world->score(id, at(from), at(until));
        sum.offered += score.offered;
        sum.met += score.met;
      }
    }
    return sum.attainment();
  }

  // Largest over smallest, of the work that the devices were given: by what it takes in an efficient batch, as the
  // batches and slices in which it runs are the device's own choice.
  double load_ratio() const {
    const auto [least, most] = std::minmax_element(work_.begin(), work_.end());
    return *most / *least;
  }

  const World& world(std::size_t index) const { return *worlds_[index]; }

 private:
  double uniform() { return (static_cast<double>(random_() >> 11) + 0.5) / 9007199254740992.0; }

  void arrive(std::size_t model, TimePoint now) {
    std::vector<sched::Candidate> candidates;
    for (std::size_t i = 0; i < worlds_.size(); ++i) {
      auto& world = worlds_[i];
      world->run_until(now);
      const sched::DeviceLoad load = world->scheduler().load(now);
      candidates.push_back(
          {objectives_[model] ? load.free_for_objectives : load.free_at, world->scheduler().load(ids_[model])});
    }
    const std::size_t chosen = router_.choose(candidates, now, turns_[model]++);
    worlds_[chosen]->request(ids_[model]);
    work_[chosen] += works_[model];
  }

  std::mt19937_64 random_;
  const sched::Router router_{};
  std::vector<std::unique_ptr<World>> worlds_;
  std::vector<InstanceId> ids_;
  std::vector<double> rates_;
  std::vector<double> works_;  // of a request, by model
  std::vector<double> work_;   // by device
  std::vector<std::uint32_t> turns_;
  std::vector<bool> objectives_;
};

const Truth kMix[] = {
    {.fixed = 454us, .per_row = 11ms}, {.fixed = 239us, .per_row = 6750us}, {.fixed = 256us, .per_row = 19500us}};

DeviceShape card() { return device_of(16, 8); }

void add_mix(RoutedWorlds& worlds, std::size_t devices, double utilisation) {
  for (std::size_t i = 0; i < std::size(kMix); ++i) {
    auto params = model("model" + std::to_string(i), 8);
    params.slo = 10 * kMix[i](1, 128);
    const double capacity = 8.0 / std::chrono::duration<double>(kMix[i](8, 128)).count();
    worlds.add_model(params, kMix[i], utilisation * capacity * static_cast<double>(devices) / std::size(kMix));
  }
}

TEST(RoutedDevices, EqualOnesCarryEqualLoads) {
  for (const double utilisation : {0.1, 0.4, 0.7}) {
    for (const std::size_t devices : {2U, 4U}) {
      const std::uint64_t seed = 10 * devices + static_cast<std::uint64_t>(10 * utilisation);
      SCOPED_TRACE("seed " + std::to_string(seed) + ", " + std::to_string(devices) + " devices, utilisation " +
                   std::to_string(utilisation));
      RoutedWorlds worlds(devices, card(), seed);
      add_mix(worlds, devices, utilisation);
      worlds.play(5s);
      EXPECT_LE(worlds.load_ratio(), 1.05);
      RecordProperty("load_ratio_" + std::to_string(devices) + "_" + std::to_string(utilisation),
                     std::to_string(worlds.load_ratio()));
    }
  }
}

TEST(RoutedDevices, MeetObjectivesAsOneDeviceDoesUnderItsPartOfTheLoad) {
  RoutedWorlds one(1, card(), 5);
  add_mix(one, 1, 0.6);
  one.play(1s);
  RoutedWorlds four(4, card(), 5);
  add_mix(four, 4, 0.6);
  four.play(1s);
  EXPECT_GE(four.attainment(200ms, 1s), one.attainment(200ms, 1s) - 0.005);
}

// Full queues everywhere: what one device answers with its part of the requests, two answer twice.
TEST(RoutedDevices, AnswerTogetherWhatEachAnswersAloneInClosedLoop) {
  // `rows` that a request brings, and how many such are joined.
  const auto answers = [](std::size_t devices, std::int64_t rows, std::int32_t joined, std::size_t outstanding) {
    RoutedWorlds worlds(devices, card(), 3);
    for (const std::size_t i : {0U, 1U, 0U, 2U}) {
      const Truth batch{.fixed = kMix[i].fixed, .per_row = rows * kMix[i].per_row};
      worlds.add_model(model("model" + std::to_string(i), joined), batch, 1);
    }
    return worlds.play_closed(4s, outstanding * devices);
  };
  for (const std::int64_t rows : {8, 1}) {
    SCOPED_TRACE(std::to_string(rows) + " rows");
    const std::int32_t joined = rows == 1 ? 8 : 1;
    const std::size_t outstanding = rows == 1 ? 16 : 2;
    const double one = answers(1, rows, joined, outstanding);
    const double two = answers(2, rows, joined, outstanding) / one;
    const double four = answers(4, rows, joined, outstanding) / one;
    EXPECT_GE(two, 2 * 0.985);
    EXPECT_GE(four, 4 * 0.985);
  }
}

TEST(RoutedDevices, ASlowOneGetsLess) {
  RoutedWorlds worlds(2, card(), 9);
  auto params = model("m", 1);
  params.slo = 500ms;
  worlds.add_model(params, {.per_row = 640ms}, 250, 3.0);  // 5 ms, and 15 ms on the slow one: 250 of 267 a second
  worlds.play(4s);
  const double fast = static_cast<double>(worlds.world(0).launches().size());
  const double slow = static_cast<double>(worlds.world(1).launches().size());
  EXPECT_GT(fast, 2.2 * slow);
  EXPECT_GE(worlds.attainment(1s, 4s), 0.99);
}

}  // namespace
}  // namespace tessera::testing
