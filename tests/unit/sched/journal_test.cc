// Journals: what is written is read again, nothing is forgotten, and damage is said to be damage.
#include "sched/journal.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace tessera::sched {
namespace {

using namespace std::chrono_literals;

std::vector<JournalRecord> read_all(const std::string& bytes) {
  auto reader = JournalReader::open(bytes);
  EXPECT_TRUE(reader.ok());
  std::vector<JournalRecord> out;
  for (;;) {
    auto next = reader->next();
    EXPECT_TRUE(next.ok()) << next.error().message();
    if (!next.ok() || !*next) return out;
    out.push_back(std::move(**next));
  }
}

std::string step_of(const Event& event, const Actions& actions = {}) {
  std::string out;
  write_step(3, TimePoint(123456789ns), event, actions, out);
  return out;
}

// Read, and written once more.
std::string again(const std::string& record) {
  const auto read = read_all(std::string(kJournalHead) + record);
  EXPECT_EQ(read.size(), 1U);
  std::string out;
  if (const auto* step = std::get_if<JournalStep>(&read.at(0))) {
    EXPECT_EQ(step->device, 3);
    EXPECT_EQ(step->at, TimePoint(123456789ns));
    auto actions = decode_actions(step->actions);
    EXPECT_TRUE(actions.ok());
    write_step(step->device, step->at, step->event, *actions, out);
  } else if (const auto* device = std::get_if<JournalDevice>(&read.at(0))) {
    write_device(*device, out);
  } else {
    write_end(std::get<JournalEnd>(read.at(0)), out);
  }
  return out;
}

// Changing any of the members changes what is written, and all of them come back.
template <typename T>
void expect_all_kept(const T& base, const std::function<std::string(const T&)>& written,
                     const std::vector<std::function<void(T&)>>& changes) {
  std::vector<std::string> seen = {written(base)};
  EXPECT_EQ(again(seen.front()), seen.front());
  for (std::size_t i = 0; i < changes.size(); ++i) {
    T changed = base;
    changes[i](changed);
    seen.push_back(written(changed));
    EXPECT_EQ(again(seen.back()), seen.back()) << "change " << i;
    for (std::size_t k = 0; k + 1 < seen.size(); ++k) EXPECT_NE(seen[k], seen.back()) << "changes " << k << ", " << i;
  }
}

template <typename E>
void expect_event_kept(const E& base, const std::vector<std::function<void(E&)>>& changes) {
  expect_all_kept<E>(
      base, [](const E& event) { return step_of(event); }, changes);
}

template <typename A>
void expect_action_kept(const A& base, const std::vector<std::function<void(A&)>>& changes) {
  expect_all_kept<A>(
      base,
      [](const A& action) {
        return step_of(TimerFired{}, {GrantLoader{}, action});
      },
      changes);
}

TEST(Journal, KeepsEveryEvent) {
  using std::numeric_limits;
  expect_event_kept<Arrival>(
      {}, {[](Arrival& e) { e.request.value = numeric_limits<std::uint64_t>::max(); },
           [](Arrival& e) { e.instance = {7}; }, [](Arrival& e) { e.shape = {9}; },
           [](Arrival& e) { e.rows = numeric_limits<std::int32_t>::min(); }, [](Arrival& e) { e.priority = 2; },
           [](Arrival& e) { e.arrival = kNever; }, [](Arrival& e) { e.timeout = Duration(-5); },
           [](Arrival& e) { e.timeout = Duration(0); }, [](Arrival& e) { e.poster_atom = 0; },
           [](Arrival& e) { e.poster_atom = 65535; }, [](Arrival& e) { e.input_ready = false; }});
  expect_event_kept<InputReady>(
      {}, {[](InputReady& e) { e.request = {5}; }, [](InputReady& e) { e.predicted_end = TimePoint(8ns); }});
  expect_event_kept<LaunchEnded>(
      {}, {[](LaunchEnded& e) { e.launch = {5}; }, [](LaunchEnded& e) { e.ok = false; },
           [](LaunchEnded& e) { e.ran = false; }, [](LaunchEnded& e) { e.started = TimePoint(1ns); },
           [](LaunchEnded& e) { e.ended = TimePoint(1ns); }, [](LaunchEnded& e) { e.blur = 1ns; }});
  expect_event_kept<TimerFired>({}, {});
  expect_event_kept<Cancelled>({}, {[](Cancelled& e) { e.request = {5}; }});
  expect_event_kept<ModelDown>({}, {[](ModelDown& e) { e.instance = {5}; }});
  expect_event_kept<SliceReady>({},
                                {[](SliceReady& e) { e.instance = {5}; },
                                 [](SliceReady& e) {
                                   e.slice = {1, 0};
                                 },
                                 [](SliceReady& e) {
                                   e.slice = {0, 1};
                                 },
                                 [](SliceReady& e) { e.bucket = 4; }, [](SliceReady& e) { e.lane = LaneIndex{1}; }});
  expect_event_kept<HomeFailed>({}, {[](HomeFailed& e) { e.instance = {5}; }, [](HomeFailed& e) { e.bucket = 4; },
                                     [](HomeFailed& e) { e.lane = {1}; },
                                     [](HomeFailed& e) {
                                       e.slice = {0, 3};
                                     },
                                     [](HomeFailed& e) { e.for_good = true; }});
  expect_event_kept<BucketsEnd>({}, {[](BucketsEnd& e) { e.instance = {5}; }});
  expect_event_kept<Measured>({}, {[](Measured& e) { e.instance = {5}; }, [](Measured& e) { e.bucket = 4; },
                                   [](Measured& e) {
                                     e.slice = {0, 3};
                                   },
                                   [](Measured& e) { e.took = 3ms; }});
  expect_event_kept<LoaderWants>({}, {[](LoaderWants& e) {
                                        e.slice = {0, 3};
                                      },
                                      [](LoaderWants& e) { e.expected = 3ms; }});
  expect_event_kept<LoaderDone>({}, {});
  expect_event_kept<LaneWanted>({}, {[](LaneWanted& e) { e.instance = {5}; }, [](LaneWanted& e) { e.lane = {1}; }});
  expect_event_kept<LaneDone>({}, {[](LaneDone& e) { e.instance = {5}; }, [](LaneDone& e) { e.lane = {1}; }});
  expect_event_kept<DeviceDown>({}, {});
  expect_event_kept<ParamsChanged>(
      {},
      {[](ParamsChanged& e) { e.instance = {5}; }, [](ParamsChanged& e) { e.params.slo = 5ms; },
       [](ParamsChanged& e) { e.params.slo_policy = SloPolicy::kBestEffort; },
       [](ParamsChanged& e) { e.params.weight = 0.1; }, [](ParamsChanged& e) { e.params.reserved_share = 0.1; },
       [](ParamsChanged& e) { e.params.reserved_lend = false; }, [](ParamsChanged& e) { e.params.max_share = 0.1; }});
  expect_event_kept<PolicyChanged>({}, {[](PolicyChanged& e) { e.policy = "temporal:triton=1"; }});
}

TEST(Journal, KeepsAllOfAModel) {
  const auto change = [](const std::function<void(ModelParams&)>& what) {
    return [what](ModelUp& e) {
      auto params = std::make_shared<ModelParams>(*e.params);
      what(*params);
      e.params = params;
    };
  };
  ModelUp base;
  base.params = std::make_shared<ModelParams>();
  expect_event_kept<ModelUp>(base,
                             {[](ModelUp& e) { e.instance = {5}; },
                              [](ModelUp& e) { e.lazy_homes = true; },
                              [](ModelUp& e) { e.all_buckets = false; },
                              [](ModelUp& e) { e.shapes_vary = true; },
                              [](ModelUp& e) {
                                e.only_slice = Slice{4, 2};
                              },
                              [](ModelUp& e) {
                                e.profile = Profile({{1, 1, 5ms}});
                              },
                              change([](auto& p) { p.slo = 5ms; }),
                              change([](auto& p) { p.weight = 3; }),
                              change([](auto& p) { p.name = "m"; }),
                              change([](auto& p) { p.max_batch_size = 8; }),
                              change([](auto& p) {
                                p.buckets = {1, 8};
                              }),
                              change([](auto& p) { p.lanes = 1; }),
                              change([](auto& p) { p.dynamic_batching = true; }),
                              change([](auto& p) { p.max_queue_delay = 1us; }),
                              change([](auto& p) { p.preferred_batch_sizes = {8}; }),
                              change([](auto& p) { p.preserve_ordering = true; }),
                              change([](auto& p) { p.priority_levels = 3; }),
                              change([](auto& p) { p.default_priority = 3; }),
                              change([](auto& p) { p.default_queue_policy.max_queue_size = 3; }),
                              change([](auto& p) { p.default_queue_policy.default_timeout = 3ns; }),
                              change([](auto& p) { p.default_queue_policy.timeout_action = TimeoutAction::kDelay; }),
                              change([](auto& p) { p.queue_policies[2] = {}; })});
}

TEST(Journal, KeepsEveryAction) {
  expect_action_kept<StartLaunch>(
      {},
      {[](StartLaunch& a) { a.launch = {5}; }, [](StartLaunch& a) { a.instance = {5}; },
       [](StartLaunch& a) {
         a.requests = {{1}, {2}};
       },
       [](StartLaunch& a) { a.rows = 2; }, [](StartLaunch& a) { a.bucket = 2; }, [](StartLaunch& a) { a.lane = {1}; },
       [](StartLaunch& a) {
         a.slice = {0, 1};
       },
       [](StartLaunch& a) { a.predicted = kForever; }, [](StartLaunch& a) { a.after_lane_only = true; }});
  expect_action_kept<Reject>(
      {}, {[](Reject& a) { a.request = {5}; }, [](Reject& a) { a.reason = RejectReason::kDeviceDown; },
           [](Reject& a) { a.retry_after = 1ms; }});
  expect_action_kept<SetTimer>({}, {[](SetTimer& a) { a.at = TimePoint(1ns); }});
  expect_action_kept<PrepareHome>({}, {[](PrepareHome& a) { a.instance = {5}; }, [](PrepareHome& a) { a.bucket = 2; },
                                       [](PrepareHome& a) { a.lane = {1}; },
                                       [](PrepareHome& a) {
                                         a.slice = {0, 1};
                                       }});
  expect_action_kept<DropHome>(
      {}, {[](DropHome& a) { a.instance = {5}; }, [](DropHome& a) { a.bucket = 2; }, [](DropHome& a) { a.lane = {1}; },
           [](DropHome& a) {
             a.slice = {0, 1};
           }});
  expect_action_kept<GrantLane>({}, {[](GrantLane& a) { a.instance = {5}; }, [](GrantLane& a) { a.lane = {1}; }});
  expect_action_kept<InstanceDrained>({}, {[](InstanceDrained& a) { a.instance = {5}; }});
  expect_action_kept<LaunchStuck>({}, {[](LaunchStuck& a) { a.launch = {5}; }, [](LaunchStuck& a) { a.ran = 3s; },
                                       [](LaunchStuck& a) { a.behind = {{6}}; }});
  expect_action_kept<StuckEnded>({}, {[](StuckEnded& a) { a.launch = {5}; }, [](StuckEnded& a) { a.instance = {5}; }});
}

TEST(Journal, KeepsADeviceAndTheEnd) {
  expect_all_kept<JournalDevice>(
      {},
      [](const JournalDevice& device) {
        std::string out;
        write_device(device, out);
        return out;
      },
      {[](JournalDevice& d) { d.number = 3; }, [](JournalDevice& d) { d.policy = "fixed:share.a=0.5"; },
       [](JournalDevice& d) { d.shape.name = "cuda:0"; },
       [](JournalDevice& d) {
         d.shape.processors = {8, 4};
       },
       [](JournalDevice& d) {
         d.shape.ladder = {{0, 1}};
       },
       [](JournalDevice& d) {
         d.shape.loader = {1, 1};
       },
       [](JournalDevice& d) { d.shape.committed_per_atom = 1; }, [](JournalDevice& d) { d.shape.copies = 2; },
       [](JournalDevice& d) { d.shape.steady = true; }, [](JournalDevice& d) { d.limits.max_waiting = 1; },
       [](JournalDevice& d) { d.limits.committed_per_atom = 1; }, [](JournalDevice& d) { d.limits.run_ahead = 1s; },
       [](JournalDevice& d) { d.limits.max_homes = 1; }, [](JournalDevice& d) { d.limits.max_homes_asked = 1; },
       [](JournalDevice& d) { d.limits.overdue = kSteadyRule; },
       [](JournalDevice& d) { d.limits.overdue = kUnsteadyRule; }});
  std::string end;
  write_end({"why"}, end);
  EXPECT_EQ(again(end), end);
}

TEST(Journal, ALearnedProfileGoesOnLearningAsIfNothingHadBeen) {
  std::mt19937 random(5);
  const auto observe = [](Profile& profile, std::mt19937& from) {
    const std::int32_t bucket = 1 << (from() % 4);
    const std::int32_t processors = 8 << (from() % 3);
    profile.observe(bucket, processors, Duration(1'000'000 + static_cast<int>(from() % 500'000)),
                    Duration(from() % 999));
    (void)profile.latency(bucket, processors);
  };
  Profile profile({{1, 8, 2ms}, {8, 8, 9ms}, {1, 32, 1ms}});
  for (int round = 0; round < 700; ++round) {
    observe(profile, random);
    if (round % 70 != 0) continue;
    ModelUp up;
    up.params = std::make_shared<ModelParams>();
    up.profile = profile;
    const auto read = read_all(std::string(kJournalHead) + step_of(up));
    Profile copy = std::get<ModelUp>(std::get<JournalStep>(read.at(0)).event).profile;
    Profile original = profile;
    std::mt19937 one(static_cast<unsigned>(round));
    std::mt19937 other(static_cast<unsigned>(round));
    for (int i = 0; i < 300; ++i) {
      observe(original, one);
      observe(copy, other);
      ASSERT_EQ(original.margin(), copy.margin()) << round;
      ASSERT_EQ(original.version(), copy.version()) << round;
      ASSERT_EQ(original.latency(4, 16), copy.latency(4, 16)) << round;
    }
  }
}

std::string small_journal() {
  std::string out(kJournalHead);
  write_device({0, "tessera", {"d", {1, 1}, {{0, 1}, {1, 1}, {0, 2}}, {1, 1}}, {}}, out);
  ModelUp up;
  auto params = std::make_shared<ModelParams>();
  params->name = "model";
  params->buckets = {1, 2};
  up.params = params;
  up.profile = Profile({{1, 1, 5ms}});
  write_step(0, TimePoint(1ms), up, {}, out);
  Arrival arrival;
  arrival.request = {1};
  StartLaunch launch;
  launch.launch = {1};
  launch.requests = {{1}};
  write_step(0, TimePoint(2ms), arrival, {launch}, out);
  write_end({}, out);
  return out;
}

// Where the first so many records end.
std::size_t ends_after(const std::string& journal, std::size_t records) {
  std::size_t at = kJournalHead.size();
  for (; records > 0; --records) {
    std::size_t size = 0;
    for (unsigned i = 0; i < 4; ++i) size |= std::size_t{static_cast<unsigned char>(journal[at + i])} << (8 * i);
    at += 12 + size;
  }
  return at;
}

TEST(Journal, IsReadUpToWhereItWasCutShort) {
  const std::string whole = small_journal();
  std::size_t most = 0;
  for (std::size_t size = kJournalHead.size(); size < whole.size(); ++size) {
    auto reader = JournalReader::open(std::string_view(whole).substr(0, size));
    ASSERT_TRUE(reader.ok());
    std::size_t records = 0;
    for (;; ++records) {
      const auto next = reader->next();
      ASSERT_TRUE(next.ok()) << size << ": " << next.error().message();
      if (!*next) break;
    }
    EXPECT_GE(records, most);
    most = records;
    const bool between = records > 0 && size == ends_after(whole, records);
    EXPECT_EQ(reader->cut_short(), size != kJournalHead.size() && !between) << size;
  }
  EXPECT_EQ(most, 3U);
  const std::string_view records = std::string_view(whole).substr(kJournalHead.size());
  for (std::size_t count = 0; count <= 4; ++count) {
    const std::size_t end = ends_after(whole, count) - kJournalHead.size();
    EXPECT_EQ(whole_records(records.substr(0, end)), end);
    EXPECT_EQ(whole_records(records.substr(0, std::min(end + 13, records.size()))), end);
  }
  EXPECT_FALSE(JournalReader::open("tessera journal 1\n").ok());
  EXPECT_FALSE(JournalReader::open("").ok());
}

TEST(Journal, DamageIsFoundWhereItIs) {
  const std::string whole = small_journal();
  for (std::size_t at = kJournalHead.size(); at < whole.size(); ++at) {
    for (const unsigned bit : {0U, 3U, 7U}) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ (1U << bit));
      auto reader = JournalReader::open(damaged);
      ASSERT_TRUE(reader.ok());
      bool found = false;
      for (int records = 0; records < 10 && !found; ++records) {
        const auto next = reader->next();
        found = !next.ok();
        if (found) {
          EXPECT_NE(next.error().message().find("damaged at byte "), std::string::npos);
        } else if (!*next) {
          break;
        }
      }
      EXPECT_TRUE(found) << "byte " << at << ", bit " << bit;
    }
  }
}

TEST(Journal, SaysWhatHappenedInALine) {
  EXPECT_EQ(describe(Event(Cancelled{{7}})), "Cancelled(7)");
  EXPECT_EQ(describe(Action(StartLaunch{{5}, {2}, {{8}, {9}}, 2, 2, {1}, {0, 3}, 4us, false})),
            "StartLaunch(5, 2, 2:, 8, 9, 2, 2, 1, 0, 3, 4000, 0)");
  EXPECT_EQ(describe(Event(PolicyChanged{"temporal"})), "PolicyChanged('temporal')");
  EXPECT_LT(describe(Event(PolicyChanged{std::string(10'000, 'x')})).size(), 11'000U);
}

}  // namespace
}  // namespace tessera::sched
