// Models that left their device for want of memory, and the requests that wait for them.
#include <algorithm>
#include <atomic>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "fleet_support.h"

namespace tessera::runtime::test {
namespace {

constexpr const char* kEvictable = R"(parameters { key: "evictable" value { string_value: "true" } })";

// Devices of 100 MB, on which one of these models has room at a time.
class AsideTest : public FleetTest {
 protected:
  void write(const std::string& name, const std::string& more = "", const std::string& config = "",
             const std::string& version = "1") {
    model(name, "1ms\nmemory 60\n" + more, kEvictable + config, version);
  }
  // With `names` loaded one after the other, so that the last one is there.
  std::unique_ptr<Service> loaded(const std::vector<std::string>& names, std::size_t devices = 1) {
    auto made = service(devices, [](ServiceOptions& options) {
      options.models.control = model::ControlMode::kExplicit;
      options.models.load_at_start = {};
    });
    for (engine::FakeEngine* engine : engines_) {
      engine->memory().set(Bytes{std::uint64_t{100} << 20});
    }
    TESSERA_CHECK(made->start().ok());
    for (const std::string& name : names) {
      const Status status = load(*made, name);
      EXPECT_TRUE(status.ok()) << status.error().message();
    }
    return made;
  }
  static Status load(Service& service, const std::string& name) {
    return wait_for([&](auto done) { service.models().load({name, std::nullopt, {}}, std::move(done)); });
  }
  static Status unload(Service& service, const std::string& name) {
    return wait_for([&](auto done) { service.models().unload(name, std::move(done)); });
  }
  std::shared_ptr<TestCall> posted(Service& service, const std::string& name) {
    auto made = call(name);
    service.infer(made);
    return made;
  }
  static ModelStatistics statistics(const Service& service, const std::string& name) {
    return service.statistics(name, std::nullopt).value().at(0);
  }
  static std::string text(const Result<InferResponse>& answer) {
    return answer.ok() ? "ok" : std::string(to_string(answer.error().code())) + ": " + answer.error().message();
  }
};

TEST_F(AsideTest, ItsNextRequestBringsItBack) {
  write("a");
  write("b");
  const auto s = loaded({"a"});
  EXPECT_EQ(text(infer(*s, "a")), "ok");
  ASSERT_TRUE(load(*s, "b").ok());
  EXPECT_EQ(index(*s), (Lines{"a 1 READY set aside for want of memory: comes back at its next request", "b 1 READY "}));
  EXPECT_TRUE(s->ready());
  EXPECT_EQ(text(infer(*s, "a")), "ok");
  EXPECT_EQ(text(infer(*s, "a")), "ok");
  const ModelStatistics a = statistics(*s, "a");
  EXPECT_EQ(a.inference_count, 3U);  // all of its time
  EXPECT_EQ(a.evictions, 1U);
  EXPECT_EQ(a.return_time.count(), 1U);
  EXPECT_EQ(statistics(*s, "b").evictions, 1U);
  // The loader, which gave the request to the device, may not have gone on yet.
  EXPECT_TRUE(soon([&] { return statistics(*s, "a").waiting_for_return == 0; }));
  const Lines back{"a 1 READY ", "b 1 READY set aside for want of memory: comes back at its next request"};
  EXPECT_TRUE(soon([&] { return index(*s) == back; }));
}

TEST_F(AsideTest, WhatClientsAskOfItIsAnsweredMeanwhile) {
  write("a", "", "max_batch_size: 0");
  write("b");
  const auto s = loaded({"a", "b"});
  const auto found = s->find("a", std::nullopt);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ((*found)->signature.inputs.at(0).name, "INPUT0");
  EXPECT_NE(model::config_json(*(*found)->config.proto).find("evictable"), std::string::npos);
  EXPECT_EQ(s->versions("a"), (std::vector<std::int64_t>{1}));
  EXPECT_FALSE(s->find("a", 2).ok());
  EXPECT_EQ(s->serving().size(), 2U);
  const auto body = s->lease_body("a", Bytes{64});
  ASSERT_TRUE(body.ok()) << body.error().message();
  EXPECT_TRUE((*body)->charge(Bytes{64}).ok());
  EXPECT_EQ(statistics(*s, "a").evictions, 1U);
  EXPECT_EQ(statistics(*s, "b").evictions, 0U);  // nobody has asked for `a` yet
}

TEST_F(AsideTest, ABadRequestBringsNothingBack) {
  write("a");
  write("b");
  const auto s = loaded({"a", "b"});
  const auto bad = call("a");
  bad->request.inputs[0].name = "OTHER";
  s->infer(bad);
  const auto answer = bad->wait();
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code(), ErrorCode::kInvalidArgument);
  const auto other = call("a");
  other->request.version = 7;
  s->infer(other);
  EXPECT_EQ(other->wait().error().code(), ErrorCode::kNotFound);
  ASSERT_TRUE(unload(*s, "nobody").ok());  // the loader has done what it was asked
  EXPECT_EQ(statistics(*s, "b").evictions, 0U);
}

TEST_F(AsideTest, AllThatWaitAreAnsweredAndNoMoreThanTheLimitWait) {
  write("a", "load_time 300ms");
  write("b");
  const auto s = loaded({"a", "b"});
  constexpr std::size_t kBeyond = 5;
  std::vector<std::shared_ptr<TestCall>> calls;
  for (std::size_t i = 0; i < kMaxWaitingForReturn + kBeyond; ++i) {
    calls.push_back(posted(*s, "a"));
  }
  EXPECT_EQ(statistics(*s, "a").waiting_for_return, kMaxWaitingForReturn);
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const auto answer = calls[i]->wait();
    if (i < kMaxWaitingForReturn) {
      ASSERT_EQ(text(answer), "ok") << i;
      continue;
    }
    ASSERT_EQ(text(answer), "unavailable: 1024 requests wait already for model 'a', which is loaded again");
    EXPECT_EQ(answer.error().retry_after(), std::chrono::seconds(1));
  }
  EXPECT_EQ(statistics(*s, "a").return_time.count(), kMaxWaitingForReturn);
  EXPECT_TRUE(soon([&] { return statistics(*s, "a").waiting_for_return == 0; }));
}

TEST_F(AsideTest, ATimeoutEndsTheWaitAtItsMoment) {
  write("a", "load_time 300ms");
  write("b");
  constexpr milliseconds kTimeout{20};
  Duration best = kForever;  // of some tries: the machine may be busy with others
  for (int i = 0; i < 10 && best > milliseconds(5); ++i) {
    engines_.clear();
    const auto s = loaded({"a", "b"});
    const auto waits = call("a");
    waits->request.timeout = kTimeout;
    waits->request.arrival = now();
    s->infer(waits);
    ASSERT_EQ(text(waits->wait()), "deadline exceeded: Request timeout expired");
    const Duration late = waits->answered_at - waits->request.arrival - kTimeout;
    ASSERT_GE(late, Duration{0});
    best = std::min(best, late);
    EXPECT_EQ(statistics(*s, "a").failures.at("timeout"), 1U);
  }
  EXPECT_LE(best, milliseconds(5));
}

TEST_F(AsideTest, AnObjectiveEndsTheWaitWhereItsPolicyIsToReject) {
  write("a", "load_time 300ms", R"(parameters { key: "slo_ms" value { string_value: "50" } })");
  write("lax", "load_time 100ms", R"(parameters { key: "slo_ms" value { string_value: "50" } }
                                     parameters { key: "slo_policy" value { string_value: "best_effort" } })");
  write("b");
  const auto s = loaded({"a", "lax", "b"});
  const auto answer = infer(*s, "a");
  EXPECT_EQ(text(answer).rfind("unavailable: Request for model 'a' cannot be answered in time: ", 0), 0U)
      << text(answer);
  EXPECT_TRUE(answer.error().retry_after().has_value());
  EXPECT_EQ(text(infer(*s, "lax")), "ok");
}

TEST_F(AsideTest, ACancelledRequestLeaves) {
  write("a", "load_time 300ms");
  write("b");
  const auto s = loaded({"a", "b"});
  const auto first = posted(*s, "a");
  const auto other = posted(*s, "a");
  s->cancel(*first);
  EXPECT_EQ(text(first->wait()), "cancelled: the request was cancelled");
  EXPECT_EQ(statistics(*s, "a").waiting_for_return, 1U);
  EXPECT_EQ(text(other->wait()), "ok");
}

TEST_F(AsideTest, AReturnThatFailsIsToldToAllAndTriedAgainAfterAWhile) {
  write("a");
  write("b");
  const auto s = loaded({"a", "b"});
  write("a", "load_time 100ms\nfault load disk on fire");
  const auto first = posted(*s, "a");
  const auto second = posted(*s, "a");
  for (const auto& waits : {first, second}) {
    const auto answer = waits->wait();
    ASSERT_FALSE(answer.ok());
    EXPECT_NE(text(answer).find("disk on fire"), std::string::npos) << text(answer);
    EXPECT_EQ(answer.error().retry_after(), std::chrono::seconds(1));
  }
  const TimePoint failed = first->answered_at;
  write("a");
  EXPECT_NE(text(infer(*s, "a")).find("disk on fire"), std::string::npos);
  EXPECT_TRUE(soon([&] { return infer(*s, "a").ok(); }));
  EXPECT_GE(now() - failed, milliseconds(900));
}

TEST_F(AsideTest, WhereAllOthersAreBusyTheRequestIsToldSo) {
  write("a");
  model("b", "20ms\nmemory 60", kEvictable);
  const auto s = loaded({"a", "b"});
  std::vector<std::shared_ptr<TestCall>> busy;
  for (int i = 0; i < 1000; ++i) {  // more than a load waits for its turns
    busy.push_back(posted(*s, "b"));
  }
  const auto answer = infer(*s, "a");
  EXPECT_EQ(text(answer).rfind("out of memory: load failed for model 'a'", 0), 0U) << text(answer);
  EXPECT_NE(text(answer).find("no model marked 'evictable' was idle within 0.5 s: unload a model"), std::string::npos);
  EXPECT_EQ(busy.back()->count, 0);
  EXPECT_EQ(statistics(*s, "b").evictions, 0U);
  for (const auto& waits : busy) {
    s->cancel(*waits);
  }
  for (const auto& waits : busy) {
    const auto ended = waits->wait();
    EXPECT_TRUE(ended.ok() || ended.error().code() == ErrorCode::kCancelled) << text(ended);
  }
}

TEST_F(AsideTest, UnloadedMeanwhileItIsGone) {
  write("a");
  write("b");
  model("slow", "1ms\nload_time 200ms");
  const auto s = loaded({"a", "b"});
  std::promise<void> both;
  s->models().load({"slow", std::nullopt, {}}, [](const Status&) {});
  s->models().unload("a", [&](const Status&) { both.set_value(); });
  const auto waits = posted(*s, "a");
  EXPECT_EQ(text(waits->wait()), "unavailable: model 'a' was unloaded");
  both.get_future().wait();
  EXPECT_EQ(infer(*s, "a").error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(index(*s).front(), "a 1 UNAVAILABLE unloaded");
}

TEST_F(AsideTest, AnotherVersionMeanwhileAnswers) {
  write("a");
  write("b");
  const auto s = loaded({"a", "b"});
  write("a", "", "", "2");
  const auto old = call("a");
  old->request.version = 1;
  s->infer(old);
  const auto newest = infer(*s, "a");
  ASSERT_EQ(text(newest), "ok");
  EXPECT_EQ(newest->version, 2);
  EXPECT_EQ(old->wait().error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(s->versions("a"), (std::vector<std::int64_t>{2}));
}

TEST_F(AsideTest, AStopWaitsForWhatIsOnItsWayBack) {
  write("a", "load_time 200ms");
  write("b");
  const auto s = loaded({"a", "b"});
  const auto waits = posted(*s, "a");
  EXPECT_TRUE(s->refuse_new());
  EXPECT_EQ(text(infer(*s, "a")), "unavailable: the server is stopping");
  EXPECT_FALSE(s->drain(milliseconds(1)));
  EXPECT_TRUE(s->drain(milliseconds(10'000)));
  EXPECT_EQ(text(waits->wait()), "ok");
  EXPECT_FALSE(s->refuse_new());
}

TEST_F(AsideTest, AStopOfLoadingTellsThoseThatWait) {
  write("a", "load_time 200ms");
  write("b");
  const auto s = loaded({"a", "b"});
  const auto waits = posted(*s, "a");
  s->models().stop_loading();
  EXPECT_NE(text(waits->wait()).find("the server is stopping"), std::string::npos);
  EXPECT_NE(text(infer(*s, "a")).find("the server is stopping"), std::string::npos);
}

TEST_F(AsideTest, TheEndAnswersThoseThatWait) {
  write("a", "load_time 200ms");
  write("b");
  auto s = loaded({"a", "b"});
  const auto waits = posted(*s, "a");
  s.reset();
  EXPECT_EQ(text(waits->wait()), "unavailable: the server is stopping");
}

TEST_F(AsideTest, OnSeveralDevicesItIsAnsweredByTheFirstThatHasItBack) {
  write("a");
  write("b");
  const auto s = loaded({"a", "b"}, 2);
  EXPECT_EQ(statistics(*s, "a").evictions, 2U);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(text(infer(*s, "a")), "ok");
    EXPECT_EQ(text(infer(*s, "b")), "ok");
  }
}

TEST_F(AsideTest, ALostDeviceCostsNothingThatAnotherCanLoad) {
  write("a");
  write("b");
  steady_ = true;
  const auto s = loaded({"a", "b"}, 2);
  devices_[0]->break_down(Error(ErrorCode::kDeviceLost, "bus error"));
  EXPECT_TRUE(soon([&] { return !s->device_statistics().at(0).up; }));
  EXPECT_TRUE(soon([&] { return infer(*s, "a").ok(); }));
  EXPECT_TRUE(soon([&] { return infer(*s, "b").ok(); }));
}

TEST_F(AsideTest, UnderLoadEveryRequestIsAnsweredRight) {
  const std::vector<std::string> names{"a", "b", "c"};
  for (const std::string& name : names) {
    write(name, name == "c" ? "captures" : "");
  }
  const auto s = loaded(names);
  std::atomic<int> right{0};
  std::atomic<int> wrong{0};
  std::vector<std::thread> posters;
  for (unsigned poster = 0; poster < 3; ++poster) {
    posters.emplace_back([&, poster] {
      std::mt19937 random(poster);
      for (int i = 0; i < 60; ++i) {
        const auto made = call(names[random() % names.size()]);
        if (random() % 8 == 0) {
          made->request.timeout = std::chrono::microseconds(random() % 3000);
        }
        s->infer(made);
        if (random() % 16 == 0) {
          s->cancel(*made);
        }
        const auto answer = made->wait();
        const bool fair = answer.ok() ? answer->outputs.at(0).tensor.data.size() == sizeof(numbers_)
                                      : answer.error().code() == ErrorCode::kCancelled ||
                                            answer.error().code() == ErrorCode::kDeadlineExceeded ||
                                            answer.error().code() == ErrorCode::kOutOfMemory;  // the others were busy
        (fair ? right : wrong) += 1;
        EXPECT_TRUE(fair) << text(answer);
      }
    });
  }
  for (std::thread& poster : posters) {
    poster.join();
  }
  EXPECT_EQ(right, 180);
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(statistics(*s, "a").evictions + statistics(*s, "b").evictions + statistics(*s, "c").evictions, 5U);
  EXPECT_TRUE(s->drain(milliseconds(5000)));
}

}  // namespace
}  // namespace tessera::runtime::test
