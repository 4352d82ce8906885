// Models that leave where another one needs their memory, and come back at their next request.
#include <thread>

#include "fleet_support.h"

namespace tessera::runtime::test {
namespace {

constexpr Bytes megabytes(std::uint64_t number) { return {number << 20}; }

class EvictionTest : public FleetTest {
 protected:
  // A model of 60 MB, of which the devices below hold one.
  void large(const std::string& name, bool evictable, const std::string& more = "") {
    model(name, "1ms\nmemory 60" + more,
          evictable ? "parameters { key: \"evictable\" value { string_value: \"true\" } }" : "");
  }
  std::unique_ptr<Service> start(std::size_t devices = 1) {
    auto s = service(devices, [](ServiceOptions& options) { options.models.control = model::ControlMode::kExplicit; });
    for (engine::FakeEngine* engine : engines_) {
      engine->set_memory(megabytes(100));
    }
    TESSERA_CHECK(s->start().ok());
    return s;
  }
  static Status load(Service& service, const std::string& name) {
    return wait_for([&](auto done) { service.models().load({name, {}, {}}, std::move(done)); });
  }
  static Status unload(Service& service, const std::string& name) {
    return wait_for([&](auto done) { service.models().unload(name, std::move(done)); });
  }
  static ModelStatistics of(const Service& service, const std::string& name) {
    return service.statistics(name, 1).value().at(0);
  }
};

TEST_F(EvictionTest, AnIdleModelLeavesForALoadAndComesBackAtItsNextRequest) {
  large("a", true);
  large("b", true);
  const auto s = start();
  ASSERT_TRUE(load(*s, "a").ok());
  ASSERT_TRUE(infer(*s, "a").ok());
  ASSERT_TRUE(load(*s, "b").ok());
  EXPECT_EQ(index(*s), (Lines{"a 1 READY evicted for 'b': comes back at its next request", "b 1 READY "}));
  EXPECT_TRUE(s->ready());
  EXPECT_TRUE(s->find("a", std::nullopt).ok());
  EXPECT_TRUE(s->lease_body("a", {64}).ok());
  EXPECT_EQ(of(*s, "a").evictions, 1U);
  EXPECT_EQ(of(*s, "a").success.count, 1U);
  const auto answer = infer(*s, "a");
  ASSERT_TRUE(answer.ok()) << answer.error().message();
  EXPECT_EQ(index(*s), (Lines{"a 1 READY ", "b 1 READY evicted for 'a': comes back at its next request"}));
  EXPECT_EQ(of(*s, "a").success.count, 2U);
  EXPECT_EQ(of(*s, "a").returns.count, 1U);
  EXPECT_GT(of(*s, "a").returns.total, Duration::zero());
  EXPECT_TRUE(infer(*s, "b").ok());
  EXPECT_TRUE(unload(*s, "a").ok());  // while it is evicted
  EXPECT_EQ(infer(*s, "a").error().code(), ErrorCode::kNotFound);
  EXPECT_TRUE(infer(*s, "b").ok());
}

TEST_F(EvictionTest, WhatIsNotEvictableStaysAndTheLoadSaysWhatIsMissing) {
  large("a", false);
  large("b", true);
  const auto s = start();
  ASSERT_TRUE(load(*s, "a").ok());
  const Status refused = load(*s, "b");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kResourceExhausted);
  EXPECT_NE(
      refused.error().message().find("60 MB more are needed, and 40 MB are free; no idle model there is evictable"),
      std::string::npos)
      << refused.error().message();
  EXPECT_TRUE(infer(*s, "a").ok());
  EXPECT_EQ(of(*s, "a").evictions, 0U);
}

TEST_F(EvictionTest, TheOneAskedForLeastRecentlyLeaves) {
  for (const char* name : {"a", "b", "c"}) {
    model(name, "1ms\nmemory 40", "parameters { key: \"evictable\" value { string_value: \"true\" } }");
  }
  const auto s = start();
  ASSERT_TRUE(load(*s, "a").ok());
  ASSERT_TRUE(load(*s, "b").ok());
  ASSERT_TRUE(infer(*s, "b").ok());
  ASSERT_TRUE(infer(*s, "a").ok());
  ASSERT_TRUE(load(*s, "c").ok());
  EXPECT_EQ(of(*s, "a").evictions, 0U);
  EXPECT_EQ(of(*s, "b").evictions, 1U);
}

TEST_F(EvictionTest, AModelThatRunsStays) {
  large("a", true);
  large("b", true);
  const auto s = start();
  ASSERT_TRUE(load(*s, "a").ok());
  const auto running = call("a");
  std::promise<void> tried;
  running->on_done = [&](const Result<InferResponse>& /*answer*/) { tried.get_future().wait(); };
  s->infer(running);
  EXPECT_FALSE(load(*s, "b").ok());
  tried.set_value();
  EXPECT_TRUE(running->wait().ok());
  EXPECT_TRUE(soon([&] { return of(*s, "a").success.count == 1; }));
  EXPECT_TRUE(load(*s, "b").ok());
}

TEST_F(EvictionTest, ManyRequestsBringAModelBackOnceAndKeepTheirTimeouts) {
  large("a", true, "\nload_time 300ms");
  large("b", true);
  const auto s = start();
  ASSERT_TRUE(load(*s, "a").ok());
  ASSERT_TRUE(load(*s, "b").ok());
  std::vector<std::shared_ptr<TestCall>> calls;
  for (int i = 0; i < 8; ++i) {
    calls.push_back(call("a"));
    s->infer(calls.back());
  }
  const auto impatient = call("a");
  impatient->request.timeout = std::chrono::microseconds(20'000);
  s->infer(impatient);
  EXPECT_EQ(impatient->wait().error().message(), "Request timeout expired");
  EXPECT_EQ(of(*s, "a").success.count, 0U);
  for (const auto& c : calls) {
    EXPECT_TRUE(c->wait().ok());
  }
  EXPECT_EQ(of(*s, "a").returns.count, 1U);
  EXPECT_GE(of(*s, "a").returns.total, milliseconds(250));
  EXPECT_EQ(of(*s, "b").evictions, 1U);
}

TEST_F(EvictionTest, AModelThatCannotComeBackAnswersThoseThatWaitAndTriesAgain) {
  large("a", true);
  large("b", false);
  const auto s = start();
  ASSERT_TRUE(load(*s, "a").ok());
  ASSERT_TRUE(load(*s, "b").ok());
  for (int i = 0; i < 2; ++i) {
    const auto answer = infer(*s, "a");
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.error().code(), ErrorCode::kUnavailable);
    EXPECT_EQ(answer.error().message(),
              "model 'a' was evicted, and cannot come back: the pretended device has no more memory: 60 MB more are "
              "needed, and 40 MB are free; no idle model there is evictable");
  }
  EXPECT_TRUE(s->ready());
  ASSERT_TRUE(unload(*s, "b").ok());
  EXPECT_TRUE(infer(*s, "a").ok());
  EXPECT_EQ(index(*s), (Lines{"a 1 READY ", "b 1 UNAVAILABLE unloaded"}));
}

TEST_F(EvictionTest, ModelsWhoseHomesAreMadeOneByOneComeAndGoToo) {
  large("a", true, "\ncaptures");
  large("b", true, "\ncaptures");
  const auto s = start();
  ASSERT_TRUE(load(*s, "a").ok());
  ASSERT_TRUE(load(*s, "b").ok());
  for (int i = 0; i < 5; ++i) {
    for (const char* name : {"a", "b"}) {
      for (int call = 0; call < 3; ++call) {
        const auto answer = infer(*s, name);
        EXPECT_TRUE(answer.ok()) << answer.error().message();
      }
    }
  }
  EXPECT_EQ(of(*s, "a").returns.count, 5U);
  EXPECT_EQ(of(*s, "b").returns.count, 5U);
}

TEST_F(EvictionTest, OtherFilesDoNotComeBackTheSameDo) {
  large("a", true);
  large("b", true);
  const auto s = start();
  ASSERT_TRUE(load(*s, "a").ok());
  ASSERT_TRUE(load(*s, "b").ok());
  large("a", true, "\nhome_time 1us");
  const auto answer = infer(*s, "a");
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().message(),
            "model 'a' was evicted, and cannot come back: its files are others than those that were loaded");
  large("a", true);  // written anew, with what was there
  EXPECT_TRUE(infer(*s, "a").ok());
}

TEST_F(EvictionTest, AnotherVersionOfTheFilesTakesThePlaceOfAnEvictedModel) {
  large("a", true);
  large("b", true);
  const auto s = start();
  ASSERT_TRUE(load(*s, "a").ok());
  ASSERT_TRUE(load(*s, "b").ok());
  large("a", true, "\nhome_time 1us");
  ASSERT_TRUE(load(*s, "a").ok());
  EXPECT_TRUE(infer(*s, "a").ok());
  EXPECT_EQ(index(*s), (Lines{"a 1 READY ", "b 1 READY evicted for 'a': comes back at its next request"}));
}

TEST_F(EvictionTest, AnEndingServerAnswersWhatWaitsForAReturn) {
  large("a", true, "\nload_time 200ms");
  large("b", true);
  const auto s = start();
  ASSERT_TRUE(load(*s, "a").ok());
  ASSERT_TRUE(load(*s, "b").ok());
  const auto waiting = call("a");
  s->infer(waiting);
  s->models().stop_loading();
  EXPECT_FALSE(waiting->wait().ok());
  EXPECT_FALSE(infer(*s, "a").ok());
  EXPECT_TRUE(infer(*s, "b").ok());
  EXPECT_TRUE(s->drain(milliseconds(1000)));
}

TEST_F(EvictionTest, AReplicaThatIsThereIsAskedFirst) {
  large("a", true);
  model("b", "1ms\nmemory 60", "instance_group [{ kind: KIND_GPU gpus: [1] }]");
  const auto s = start(2);
  ASSERT_TRUE(load(*s, "a").ok());
  ASSERT_TRUE(load(*s, "b").ok());
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(infer(*s, "a").ok());
  }
  EXPECT_EQ(of(*s, "a").evictions, 1U);
  EXPECT_EQ(of(*s, "a").returns.count, 0U);
  EXPECT_EQ(index(*s).at(0), "a 1 READY on fake:1: evicted for 'b': comes back at its next request");
}

}  // namespace
}  // namespace tessera::runtime::test
