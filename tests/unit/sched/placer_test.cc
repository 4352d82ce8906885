// Which devices hold which models.
#include "sched/placer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>

namespace tessera::sched {
namespace {

using namespace std::chrono_literals;
using Kind = PlacerAction::Kind;

PlacerModel model(std::uint64_t bytes, double rate = 0) {
  PlacerModel out;
  out.bytes = {bytes};
  out.rate = rate;
  return out;
}

PlacerDevice device(std::uint64_t memory) { return {true, Bytes{memory}}; }

TEST(Placer, EveryModelGoesOnEveryDeviceWhileMemorySuffices) {
  const Placement placed = Placer().decide({{}, device(100)}, {model(60), model(40)});
  const std::vector<PlacerAction> all{
      {Kind::kLoad, 0, 0}, {Kind::kLoad, 1, 0}, {Kind::kLoad, 0, 1}, {Kind::kLoad, 1, 1}};
  EXPECT_TRUE(std::is_permutation(placed.actions.begin(), placed.actions.end(), all.begin(), all.end()));
  EXPECT_TRUE(placed.refused.empty());
}

TEST(Placer, AWishForDevicesIsHeededUnlessAllOfThemAreLost) {
  PlacerModel wish = model(10);
  wish.allowed = {false, true, false};
  EXPECT_EQ(Placer().decide({{}, {}, {}}, {wish}).actions, (std::vector<PlacerAction>{{Kind::kLoad, 0, 1}}));
  PlacerDevice lost;
  lost.up = false;
  wish.loaded = {false, true, false};
  EXPECT_EQ(Placer().decide({{}, lost, {}}, {wish}).actions,
            (std::vector<PlacerAction>{{Kind::kLoad, 0, 0}, {Kind::kLoad, 0, 2}}));
}

TEST(Placer, ASecondReplicaMakesRoomForAFirst) {
  PlacerModel busy = model(60, 100);
  busy.loaded = {true, true};
  const Placement placed = Placer().decide({device(100), device(100)}, {busy, model(60, 1)});
  ASSERT_EQ(placed.actions.size(), 2U);
  EXPECT_EQ(placed.actions[0].kind, Kind::kUnload);
  EXPECT_EQ(placed.actions[1], (PlacerAction{Kind::kLoad, 1, placed.actions[0].device}));
}

TEST(Placer, ASecondReplicaThatJustCameStays) {
  PlacerModel busy = model(60, 100);
  busy.loaded = {true, true};
  busy.residing = {40s, 5s};
  const Placement placed = Placer().decide({device(100), device(100)}, {busy, model(60, 1)});
  EXPECT_EQ(placed.actions, (std::vector<PlacerAction>{{Kind::kUnload, 0, 0}, {Kind::kLoad, 1, 0}}));
}

TEST(Placer, OfIdleEvictableModelsTheLeastRecentlyUsedLeaves) {
  PlacerModel old = model(60);
  old.evictable = true;
  old.loaded = {true};
  PlacerModel recent = old;
  old.idle = 200s;
  recent.idle = 100s;
  const std::vector<PlacerDevice> one{device(120)};
  EXPECT_EQ(Placer().decide(one, {recent, old, model(50, 1)}).actions,
            (std::vector<PlacerAction>{{Kind::kUnload, 1, 0}, {Kind::kLoad, 2, 0}}));
  recent.idle = old.idle = 1s;  // not idle at all
  const Placement refused = Placer().decide(one, {recent, old, model(50, 1)});
  EXPECT_TRUE(refused.actions.empty());
  EXPECT_EQ(refused.refused, std::vector<std::size_t>{2});
}

TEST(Placer, NoMoreLeavesThanMust) {
  PlacerModel small = model(10);
  small.evictable = true;
  small.loaded = {true};
  small.idle = 300s;
  PlacerModel large = small;
  large.bytes = {80};
  large.idle = 100s;
  EXPECT_EQ(Placer().decide({device(100)}, {small, large, model(85, 1)}).actions,
            (std::vector<PlacerAction>{{Kind::kUnload, 1, 0}, {Kind::kLoad, 2, 0}}));
}

TEST(Placer, WhatWasEvictedComesBackWhenItIsAskedFor) {
  PlacerModel gone = model(10);
  gone.evictable = true;
  gone.wanted = false;
  EXPECT_TRUE(Placer().decide({device(100)}, {gone}).actions.empty());
  gone.wanted = true;
  EXPECT_EQ(Placer().decide({device(100)}, {gone}).actions, (std::vector<PlacerAction>{{Kind::kLoad, 0, 0}}));
}

// A fleet that does what the placer says, under traffic that comes and goes.
class Fleet {
 public:
  explicit Fleet(std::uint64_t seed) : random_(seed) {
    const std::size_t devices = 1 + random_() % 4;
    for (std::size_t i = 0; i < devices; ++i) {
      devices_.push_back(device(500 + random_() % 500));
    }
    const std::size_t models = 1 + random_() % 12;
    for (std::size_t i = 0; i < models; ++i) {
      PlacerModel& added = models_.emplace_back(model(20 + random_() % 180));
      added.evictable = random_() % 4 != 0;
      added.wanted = false;
      added.loaded.assign(devices, false);
      added.residing.assign(devices, Duration{0});
    }
  }

  void traffic() {
    for (PlacerModel& m : models_) {
      if (random_() % 3 == 0) {
        m.rate = random_() % 2 == 0 ? 0 : static_cast<double>(1 + random_() % 100);
      }
      m.idle = m.rate > 0 ? Duration{0} : m.idle + 1s;
      m.wanted = m.wanted || m.rate > 0;
      for (Duration& since : m.residing) {
        since += 1s;
      }
    }
  }

  // Checks the rules that hold at every moment.
  void act(const Placement& placed) {
    for (const PlacerAction& action : placed.actions) {
      PlacerModel& m = models_[action.model];
      const bool loads = action.kind == Kind::kLoad;
      ASSERT_NE(m.loaded[action.device], loads) << "loaded or unloaded twice";
      ASSERT_TRUE(devices_[action.device].up);
      m.loaded[action.device] = loads;
      m.residing[action.device] = Duration{0};
      ASSERT_LE(used(action.device), devices_[action.device].memory->value) << "capacity exceeded";
      if (!loads && replicas(m) == 0) {
        ASSERT_TRUE(m.evictable && m.idle >= 10s) << "taken from under its requests";
        m.wanted = false;
      }
    }
    for (std::size_t i = 0; i < models_.size(); ++i) {
      const bool refused = std::count(placed.refused.begin(), placed.refused.end(), i) != 0;
      ASSERT_EQ(refused, models_[i].wanted && replicas(models_[i]) == 0);
    }
  }

  // Whether what must stay leaves so much room that some device has some for any model.
  bool memory_suffices() const {
    std::uint64_t total = 0;
    std::uint64_t largest = 0;
    for (const PlacerDevice& d : devices_) {
      total += d.memory->value;
    }
    for (const PlacerModel& m : models_) {
      largest = std::max(largest, m.bytes.value);
      const bool stays = m.wanted && (m.rate > 0 || !m.evictable || m.idle < 10s || replicas(m) == 0);
      const bool young = std::any_of(m.residing.begin(), m.residing.end(), [](Duration d) { return d < 30s; });
      const std::uint64_t copies = young ? devices_.size() : 1;  // second replicas that may not go yet
      total -= std::min(total, stays || young ? m.bytes.value * copies : 0);
    }
    return total >= devices_.size() * largest;
  }

  static std::size_t replicas(const PlacerModel& m) {
    return static_cast<std::size_t>(std::count(m.loaded.begin(), m.loaded.end(), true));
  }
  std::uint64_t used(std::size_t d) const {
    std::uint64_t sum = 0;
    for (const PlacerModel& m : models_) {
      sum += m.loaded[d] ? m.bytes.value : 0;
    }
    return sum;
  }

  const std::vector<PlacerDevice>& devices() const { return devices_; }
  std::vector<PlacerModel>& models() { return models_; }

 private:
  std::mt19937_64 random_;
  std::vector<PlacerDevice> devices_;
  std::vector<PlacerModel> models_;
};

TEST(PlacerProperty, KeepsWithinMemoryPlacesWhatHasTrafficAndComesToRest) {
  const std::uint64_t seed = std::random_device{}();
  const Placer placer;
  int sufficed = 0;
  for (std::uint64_t world = 0; world < 200; ++world) {
    SCOPED_TRACE("seed " + std::to_string(seed + world));
    Fleet fleet(seed + world);
    for (int second = 0; second < 100; ++second) {
      fleet.traffic();
      const bool suffices = fleet.memory_suffices();
      const Placement placed = placer.decide(fleet.devices(), fleet.models());
      fleet.act(placed);
      if (HasFatalFailure()) {
        return;
      }
      if (suffices) {
        ++sufficed;
        ASSERT_TRUE(placed.refused.empty()) << "refused although memory suffices";
      }
      // As many rounds as models were refused, then rest.
      std::size_t rounds = placed.refused.size() + 1;
      for (Placement next = placed; !next.actions.empty(); --rounds) {
        ASSERT_GT(rounds, 0U) << "not at rest";
        next = placer.decide(fleet.devices(), fleet.models());
        fleet.act(next);
      }
    }
  }
  EXPECT_GT(sufficed, 500) << "the condition is hardly ever met";
}

TEST(PlacerProperty, UnderSteadyTrafficNothingMoves) {
  const std::uint64_t seed = std::random_device{}();
  const Placer placer;
  for (std::uint64_t world = 0; world < 200; ++world) {
    SCOPED_TRACE("seed " + std::to_string(seed + world));
    Fleet fleet(seed + world);
    std::size_t late_actions = 0;
    fleet.traffic();
    for (int second = 0; second < 120; ++second) {
      for (PlacerModel& m : fleet.models()) {
        m.idle = m.rate > 0 ? Duration{0} : m.idle + 1s;
        for (Duration& since : m.residing) {
          since += 1s;
        }
      }
      const Placement placed = placer.decide(fleet.devices(), fleet.models());
      fleet.act(placed);
      late_actions += second > 60 ? placed.actions.size() : 0;
    }
    EXPECT_EQ(late_actions, 0U);
  }
}

}  // namespace
}  // namespace tessera::sched
