// The loop, the crowd and the device that the simulator is made of.
#include "sim/device.h"

#include <gtest/gtest.h>

#include <cmath>

#include "sim/crowd.h"
#include "sim/loop.h"
#include "sim/sliced_runs.h"

namespace tessera::sim {
namespace {

using namespace std::chrono_literals;

TimePoint at(Duration since_start) { return TimePoint(since_start); }

struct Notes : Loop::Target {
  Loop* loop = nullptr;
  std::vector<std::pair<std::uint64_t, TimePoint>> seen;
  void due(std::uint64_t token) override {
    seen.emplace_back(token, loop->time());
    if (token == 1) {
      loop->at(at(1ms), *this, 9);  // in the past
    }
  }
};

TEST(Loop, KeepsTheOrderOfTimeAndThenOfAsking) {
  Loop loop;
  Notes notes;
  notes.loop = &loop;
  for (const std::uint64_t token : {3, 4, 5}) {
    loop.at(at(20ms), notes, token);
  }
  loop.at(at(10ms), notes, 1);
  loop.run_until(at(15ms));
  EXPECT_EQ(loop.time(), at(15ms));
  loop.run_until(at(20ms));
  const std::vector<std::pair<std::uint64_t, TimePoint>> expected = {
      {1, at(10ms)}, {9, at(10ms)}, {3, at(20ms)}, {4, at(20ms)}, {5, at(20ms)}};
  EXPECT_EQ(notes.seen, expected);
  EXPECT_TRUE(loop.empty());
  EXPECT_FALSE(loop.step());
}

TEST(Crowd, EachOtherLaunchCostsEveryOneItsPart) {
  Crowd crowd;
  EXPECT_EQ(crowd.next(), kNever);
  crowd.join(1, 1, 10ms, at(0ms));
  EXPECT_TRUE(crowd.leave(at(5ms)).empty());
  crowd.join(2, 0.5, 10ms, at(5ms));  // the first has 5 ms left, at half the speed
  EXPECT_EQ(crowd.next(), at(15ms));
  EXPECT_EQ(crowd.leave(at(15ms)), (std::vector<std::size_t>{1}));
  // In these 10 ms the second did 10 / 1.5 of its own.
  EXPECT_NEAR(std::chrono::duration<double>(crowd.next() - at(15ms)).count(), 0.010 / 3, 1e-8);
  const TimePoint end = crowd.next();
  EXPECT_EQ(crowd.leave(end), (std::vector<std::size_t>{2}));
}

TEST(Crowd, ThreeAreNoFasterThanTwo) {
  Crowd crowd;
  for (const std::size_t who : {1, 2, 3}) {
    crowd.join(who, 0.4, 10ms, at(0ms));
  }
  EXPECT_EQ(crowd.next(), at(18ms)) << "1 + 0.4 * 2";
  EXPECT_EQ(crowd.leave(at(18ms)), (std::vector<std::size_t>{1, 2, 3}));
}

using Done = std::vector<SlicedRuns::Done>;

TEST(SlicedRuns, BeginWhenTheirAtomsAreFreeOfAllThatCameBefore) {
  SlicedRuns runs(4);
  EXPECT_EQ(runs.next(), kNever);
  runs.join(1, {0, 2}, 10ms, 0, at(0ms));
  runs.join(2, {1, 3}, 10ms, 0, at(0ms));  // waits for 1
  runs.join(3, {2, 2}, 10ms, 0, at(0ms));  // waits for 2, which is not running yet
  runs.join(4, {0, 1}, 10ms, 0, at(0ms));  // waits for 1
  EXPECT_EQ(runs.next(), at(10ms));
  EXPECT_EQ(runs.leave(at(10ms)), (Done{{1, at(0ms)}}));
  EXPECT_EQ(runs.next(), at(20ms));
  EXPECT_EQ(runs.leave(at(20ms)), (Done{{2, at(10ms)}, {4, at(10ms)}}));
  EXPECT_EQ(runs.leave(at(30ms)), (Done{{3, at(20ms)}}));
  EXPECT_EQ(runs.next(), kNever);
}

TEST(SlicedRuns, NeighboursSlowARunDownAsLongAsTheyAreThere) {
  const auto is = [](TimePoint seen, TimePoint expected) { return seen - expected <= 2ns && expected - seen <= 2ns; };
  SlicedRuns runs(4);
  runs.join(1, {0, 2}, 10ms, 0.4, at(0ms));
  EXPECT_EQ(runs.next(), at(10ms));
  // Half of the device busy beside one that has half of it: 1 + 0.4 * 1.5 / 2.
  runs.join(2, {2, 2}, 2600us, 0.4, at(5ms));
  const TimePoint second = at(5ms + 3380us);
  EXPECT_TRUE(is(runs.next(), second));
  EXPECT_TRUE(runs.leave(at(5ms + 1300us)).empty()) << "1 ms of its own";
  EXPECT_EQ(runs.leave(second + 2ns), (Done{{2, at(5ms)}}));
  EXPECT_TRUE(is(runs.next(), second + 2400us)) << "2.6 ms of the last five were done beside it";
}

// One model with plain numbers on four atoms of one processor.
class Alone : public Observer {
 public:
  explicit Alone(DeviceTraits traits, std::string_view policy = "fixed:share.a=0.25,share.b=0.75",
                 std::uint16_t committed = 0) {
    DeviceShape shape;
    shape.name = "four";
    shape.processors.assign(4, 1);
    shape.ladder = aligned_ladder(4);
    shape.loader = loader_slice(4);
    sched::SchedulerLimits limits;
    limits.committed_per_atom = committed;
    device_ = std::make_unique<Device>(loop, shape, *sched::make_policy(policy), limits, traits, 1, *this);
    for (const std::uint32_t id : {1U, 2U}) {
      auto params = std::make_shared<sched::ModelParams>();
      params->name = id == 1 ? "a" : "b";
      params->buckets = {1};
      params->lanes = 4;
      device_->add_model(InstanceId{id}, params, run_time, sched::Profile({{1, 1, 12ms}, {1, 3, 4ms}, {1, 4, 3ms}}));
    }
  }
  static Duration run_time(std::int32_t, std::int32_t processors) { return 12ms / processors; }
  void suffers(std::uint32_t model, double neighbour) { device_->set_beside(InstanceId{model}, {neighbour, 0}); }

  void ask(std::uint32_t model) {
    sched::Arrival arrival;
    arrival.request = RequestId{next_++};
    arrival.instance = InstanceId{model};
    arrival.arrival = loop.time();
    device_->send(arrival);
  }
  void acts(const sched::Action&) override {}
  void ended(const sched::StartLaunch& launch) override {
    for (const RequestId id : launch.requests) {
      ends[id.value] = loop.time();
    }
  }
  const Device& device() const { return *device_; }

  Loop loop;
  std::map<std::uint64_t, TimePoint> ends;

 private:
  std::unique_ptr<Device> device_;
  std::uint64_t next_ = 1;
};

TEST(SimulatedDevice, ARunTakesWhatItsSliceTakesAndIsHeardOfLater) {
  DeviceTraits traits;
  traits.host_overhead = 100us;
  Alone world(traits);
  world.ask(1);
  world.ask(2);
  world.ask(2);
  world.loop.run_until(at(100ms));
  EXPECT_EQ(world.ends[1], at(12ms + 100us));
  EXPECT_EQ(world.ends[2], at(4ms + 100us));
  EXPECT_EQ(world.ends[3], at(8ms + 200us)) << "the round trip lies between two batches";
  EXPECT_NEAR(world.device().busy_atom_seconds(), 0.012 + 2 * 3 * 0.004, 1e-9);
}

TEST(SimulatedDevice, ALaunchAheadHidesTheRoundTrip) {
  DeviceTraits traits;
  traits.host_overhead = 100us;
  Alone world(traits, "temporal", 1);
  for (int i = 0; i < 4; ++i) {
    world.ask(1);
  }
  world.loop.run_until(at(100ms));
  EXPECT_EQ(world.ends[1], at(3ms + 100us));
  EXPECT_EQ(world.ends[4], at(12ms + 100us));
}

TEST(SimulatedDevice, NeighboursCostTheirPart) {
  DeviceTraits traits;
  traits.beside.neighbour = 0.2;
  Alone world(traits);
  world.ask(1);  // one atom, beside three of four for as long as these are busy
  world.ask(2);
  world.loop.run_until(at(100ms));
  const Duration second = 4ms + Duration(4ms) * 7 / 80;  // 0.2 * 1.75 / 4
  EXPECT_EQ(world.ends[2], at(second));
  const double slower = 1 + 0.2 * 1.25 * 3 / 4;
  EXPECT_NEAR(std::chrono::duration<double>(world.ends[1] - at(0ms)).count(),
              0.012 + std::chrono::duration<double>(second).count() * (1 - 1 / slower), 1e-8);
}

TEST(SimulatedDevice, AModelMaySufferMoreThanOthers) {
  DeviceTraits traits;
  traits.beside.neighbour = 0.2;
  Alone world(traits);
  world.suffers(1, 0);
  world.suffers(2, 0.8);
  world.ask(1);
  world.ask(2);
  world.loop.run_until(at(100ms));
  EXPECT_EQ(world.ends[1], at(12ms));
  EXPECT_EQ(world.ends[2], at(4ms + Duration(4ms) * 7 / 20));
}

// Runs of 12 ms on an atom: how far each is from that, in us.
std::vector<double> off_by(Duration jitter, std::string_view policy = "fixed:share.a=0.25,share.b=0.75") {
  DeviceTraits traits;
  traits.jitter = jitter;
  Alone world(traits, policy);
  const Duration alone = policy == "temporal" ? 3ms : 12ms;
  std::vector<double> out;
  for (int i = 0; i < 400; ++i) {
    const TimePoint before = at(i * 200ms);
    world.loop.run_until(before);
    world.ask(1);
    world.loop.run_until(before + 200ms - 1ns);
    out.push_back(std::chrono::duration<double, std::micro>(world.ends.rbegin()->second - before - alone).count());
  }
  return out;
}

TEST(SimulatedDevice, JitterIsInTimeAndMakesNoRunMuchShorter) {
  double squares = 0;
  for (const double off : off_by(100us)) {
    squares += off * off / 400;
  }
  EXPECT_NEAR(std::sqrt(squares), 100, 15);
  for (const double off : off_by(20ms)) {
    EXPECT_GE(off, -2400.1);
  }
}

TEST(SimulatedDevice, WhoHasTheWholeDeviceDoesNotJitter) {
  for (const double off : off_by(100us, "temporal")) {
    EXPECT_EQ(off, 0);
  }
}

TEST(SimulatedDevice, UncontrolledLaunchesShareTheProcessors) {
  DeviceTraits traits;
  traits.beside.contention = 1;
  Alone world(traits, "streams");
  world.ask(1);
  world.ask(2);
  world.loop.run_until(at(100ms));
  // Both keep all processors busy, as their work spreads without loss.
  EXPECT_NEAR(std::chrono::duration<double>(world.ends[1] - at(0ms)).count(), 0.006, 1e-6);
  EXPECT_NEAR(std::chrono::duration<double>(world.ends[2] - at(0ms)).count(), 0.006, 1e-6);
}

}  // namespace
}  // namespace tessera::sim
