// The loop, the crowd and the device that the simulator is made of.
#include "sim/device.h"

#include <gtest/gtest.h>

#include <cmath>

#include "sim/crowd.h"
#include "sim/loop.h"

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

TEST(Crowd, NarrowLaunchesDoNotWaitAndWideOnesShare) {
  Crowd narrow(0);
  narrow.join(1, 0.5, 10ms, at(0ms));
  narrow.join(2, 0.5, 10ms, at(0ms));
  EXPECT_EQ(narrow.next(), at(10ms));
  EXPECT_EQ(narrow.leave(at(10ms)), (std::vector<std::size_t>{1, 2}));
  EXPECT_EQ(narrow.next(), kNever);

  Crowd wide(0);
  wide.join(1, 1, 10ms, at(0ms));
  EXPECT_TRUE(wide.leave(at(5ms)).empty());
  wide.join(2, 1, 10ms, at(5ms));  // 5 ms left, at half the speed
  EXPECT_EQ(wide.next(), at(15ms));
  EXPECT_EQ(wide.leave(at(15ms)), (std::vector<std::size_t>{1}));
  EXPECT_EQ(wide.next(), at(20ms));
}

TEST(Crowd, ContentionSlowsAllDown) {
  Crowd crowd(0.8);
  crowd.join(1, 0.1, 10ms, at(0ms));
  EXPECT_EQ(crowd.next(), at(10ms)) << "alone";
  crowd.join(2, 0.1, 10ms, at(0ms));
  EXPECT_EQ(crowd.next(), at(14ms)) << "1 + 0.8 * (1 - 1/2)";
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
  void suffers(std::uint32_t model, double neighbour) { device_->set_neighbour(InstanceId{model}, neighbour); }

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
  traits.neighbour = 0.2;
  Alone world(traits);
  world.ask(1);  // alone when it begins
  world.ask(2);  // beside one of four atoms
  world.loop.run_until(at(100ms));
  EXPECT_EQ(world.ends[1], at(12ms));
  EXPECT_EQ(world.ends[2], at(4ms + 200us));
}

TEST(SimulatedDevice, AModelMaySufferMoreThanOthers) {
  DeviceTraits traits;
  traits.neighbour = 0.2;
  Alone world(traits);
  world.suffers(2, 0.8);
  world.ask(1);
  world.ask(2);
  world.loop.run_until(at(100ms));
  EXPECT_EQ(world.ends[1], at(12ms));
  EXPECT_EQ(world.ends[2], at(4ms + 800us));
}

// Runs of 3 ms on the whole device: how far each is from that, in us.
std::vector<double> off_by(Duration jitter) {
  DeviceTraits traits;
  traits.jitter = jitter;
  Alone world(traits, "temporal");
  std::vector<double> out;
  for (int i = 0; i < 400; ++i) {
    const TimePoint before = at(i * 50ms);
    world.loop.run_until(before);
    world.ask(1);
    world.loop.run_until(before + 50ms - 1ns);
    out.push_back(std::chrono::duration<double, std::micro>(world.ends.rbegin()->second - before - 3ms).count());
  }
  return out;
}

TEST(SimulatedDevice, JitterIsInTimeAndMakesNoRunMuchShorter) {
  double squares = 0;
  for (const double off : off_by(100us)) {
    squares += off * off / 400;
  }
  EXPECT_NEAR(std::sqrt(squares), 100, 15);
  for (const double off : off_by(5ms)) {
    EXPECT_GE(off, -600.1);
  }
}

TEST(SimulatedDevice, UncontrolledLaunchesShareTheProcessors) {
  DeviceTraits traits;
  traits.contention = 1e-9;
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
