// Workload and trace files: what they say, and where they are wrong.
#include <gtest/gtest.h>

#include "loadgen/json.h"
#include "loadgen/trace.h"
#include "loadgen/workload.h"

namespace tessera::loadgen {
namespace {

using namespace std::chrono_literals;

Result<std::string> no_files(const std::string& path) { return not_found("there is no " + path); }

Result<ModelCost> costs(const std::string& model) {
  if (model == "small") return ModelCost{1ms, 2ms};
  if (model == "large") return ModelCost{4ms, 8ms};
  return not_found("no profile of '" + model + "'");
}

std::string error_of(const std::string& text) {
  auto parsed = parse_workload(text, "w.json", no_files);
  return parsed.ok() ? "" : parsed.error().message();
}

TEST(Workloads, SharesByCostAndObjectivesByFactor) {
  auto workload = parse_workload(R"({
    "name": "mix", "source": "a test", "total_rate": 100,
    "defaults": {"slo_factor": 5, "share": 1, "share_by_cost": true, "max_batch": 8},
    "tenants": [{"model": "small", "count": 2}, {"model": "large", "weight": 2, "slo_ms": 7}]
  })",
                                 "w.json", no_files);
  ASSERT_TRUE(workload.ok()) << workload.error().message();
  auto tenants = resolve(*workload, costs, {}, {});
  ASSERT_TRUE(tenants.ok());
  ASSERT_EQ(tenants->size(), 3U);
  EXPECT_EQ((*tenants)[0].spec.name, "small");
  EXPECT_EQ((*tenants)[1].spec.name, "small_2");
  EXPECT_EQ((*tenants)[0].slo, 5ms);
  EXPECT_EQ((*tenants)[2].slo, 7ms);
  EXPECT_EQ((*tenants)[2].spec.weight, 2);
  EXPECT_EQ((*tenants)[2].spec.max_batch, 8);
  EXPECT_NEAR((*tenants)[0].rate, 400.0 / 9, 1e-9);
  EXPECT_NEAR((*tenants)[2].rate, 100.0 / 9, 1e-9);
  auto harder = resolve(*workload, costs, 900, 10);
  ASSERT_TRUE(harder.ok());
  EXPECT_EQ((*harder)[0].slo, 10ms);
  EXPECT_EQ((*harder)[2].slo, 7ms);
  EXPECT_NEAR((*harder)[0].rate, 400, 1e-9);
}

TEST(Workloads, SayWhoStandsInForAModel) {
  const auto with = [](const std::string& stand_in) {
    return R"({"name": "w", "source": "s", "tenants": [{"model": "new", "rate": 1}],
 "stand_ins": {"new": )" +
           stand_in + "}}";
  };
  auto workload = parse_workload(with(R"({"as": "old", "scale": 2.5, "source": "a test"})"), "w.json", no_files);
  ASSERT_TRUE(workload.ok()) << workload.error().message();
  EXPECT_EQ(workload->stand_ins.at("new").as, "old");
  EXPECT_EQ(workload->stand_ins.at("new").scale, 2.5);
  EXPECT_EQ(error_of(with(R"({"as": "old", "scale": 0, "source": "a test"})")).substr(0, 12), "w.json:2:46:");
  EXPECT_NE(error_of(with(R"({"as": "old", "scale": 2})")).find("source"), std::string::npos);
  EXPECT_NE(error_of(with(R"({"scale": 2, "source": "a test"})")).find("as"), std::string::npos);
}

TEST(Workloads, RatesOfTheirOwnScaleTogether) {
  auto workload = parse_workload(R"({"name": "w", "source": "a test", "tenants": [
    {"model": "small", "rate": 30, "arrivals": {"process": "constant", "phase": 0.5}},
    {"model": "large", "rate": 10, "slo_factor": 2},
    {"model": "large", "outstanding": 2, "no_slo": true}]})",
                                 "w.json", no_files);
  ASSERT_TRUE(workload.ok()) << workload.error().message();
  EXPECT_EQ((*resolve(*workload, costs, {}, {}))[0].rate, 30);
  auto doubled = resolve(*workload, costs, 80, {});
  EXPECT_EQ((*doubled)[0].rate, 60);
  EXPECT_EQ((*doubled)[1].rate, 20);
  EXPECT_EQ((*doubled)[2].rate, 0);
  EXPECT_FALSE((*doubled)[2].slo);
}

TEST(Workloads, ErrorsSayWhere) {
  EXPECT_EQ(error_of("{\n  \"name\": \"x\",\n  \"name\": 1}"), "w.json:3:8: a key that was there before");
  EXPECT_EQ(error_of("{\"name\": \"x\",\n  12}").substr(0, 12), "w.json:2:3: ");
  EXPECT_EQ(error_of("{\"name\": \"x\"}"), "w.json:1:1: 'source' is missing: say where the numbers come from");
  EXPECT_EQ(error_of("{\"name\": \"x\", \"source\": \"y\",\n \"tenants\": []}"), "w.json:2:13: there is no tenant");
  const auto tenant = [](const std::string& text) {
    return error_of("{\"name\": \"x\", \"source\": \"y\", \"tenants\": [\n" + text + "]}");
  };
  EXPECT_EQ(tenant("{\"model\": \"m\", \"rate\": 1}"), "");
  EXPECT_EQ(tenant("{\"model\": \"m\"}"),
            "w.json:2:1: the tenant has none of 'rate', 'share', 'outstanding': how often does it ask?");
  EXPECT_EQ(tenant("{\"model\": \"m\", \"rate\": -1}"),
            "w.json:2:24: 'rate' is a number from 0.000001 to 100000000, not -1");
  EXPECT_EQ(tenant("{\"model\": \"m\", \"rate\": \"1\"}").substr(0, 20), "w.json:2:24: 'rate' ");
  EXPECT_EQ(tenant("{\"model\": \"m\", \"rate\": 1, \"lanes\": 1.5}"), "w.json:2:36: 'lanes' is a whole number");
  EXPECT_EQ(tenant("{\"model\": \"m\", \"rate\": 1, \"speed\": 2}").substr(0, 49),
            "w.json:2:36: there is no 'speed' here; known are ");
  EXPECT_EQ(tenant("{\"model\": \"m\", \"rate\": 1, \"share\": 2}"),
            "w.json:2:1: more than one of 'rate', 'share', 'outstanding' is given");
  EXPECT_EQ(tenant("{\"model\": \"m\", \"rate\": 1, \"arrivals\": {\"process\": \"wild\"}}").substr(0, 36),
            "w.json:2:51: unknown process 'wild';");
  EXPECT_EQ(tenant("{\"model\": \"m\", \"rate\": 1, \"rows\": 32}"), "w.json:2:1: 'rows' is more than 'max_batch'");
  EXPECT_EQ(tenant("{\"model\": \"m\", \"arrivals\": {\"process\": \"trace\", \"file\": \"t.csv\", \"of\": \"m\"}}"),
            "w.json:2:57: there is no t.csv");
  EXPECT_FALSE(parse_workload(std::string(kMaxJsonBytes + 1, ' '), "w.json", no_files).ok());
  EXPECT_NE(error_of(std::string(40, '[')), "");
}

TEST(Workloads, ATotalIsAskedForWhereRatesAreShares) {
  auto workload = parse_workload(R"({"name": "w", "source": "s", "tenants": [{"model": "small", "share": 1}]})",
                                 "w.json", no_files);
  ASSERT_TRUE(workload.ok());
  auto none = resolve(*workload, costs, {}, {});
  ASSERT_FALSE(none.ok());
  EXPECT_NE(none.error().message().find("--rate"), std::string::npos);
  EXPECT_TRUE(resolve(*workload, costs, 5, {}).ok());
}

TEST(Workloads, ATraceGivesItsTenantTheRate) {
  const auto read = [](const std::string&) -> Result<std::string> { return std::string("0.5,a\n1,b\n2,a\n"); };
  auto workload = parse_workload(
      R"({"name": "w", "source": "s", "tenants": [
      {"model": "small", "arrivals": {"process": "trace", "file": "t.csv", "of": "a"}}]})",
      "w.json", read);
  ASSERT_TRUE(workload.ok()) << workload.error().message();
  EXPECT_EQ((*resolve(*workload, costs, {}, {}))[0].rate, 1);
}

TEST(Traces, LinesByModel) {
  auto traces = parse_trace("seconds,model,rows\n# a remark\n0.5,a\r\n1.5,b,4\n\n2,a,2", "t.csv");
  ASSERT_TRUE(traces.ok()) << traces.error().message();
  ASSERT_EQ(traces->size(), 2U);
  EXPECT_EQ(traces->at("a").arrivals->size(), 2U);
  EXPECT_EQ(traces->at("a").arrivals->at(1).at, 2s);
  EXPECT_EQ(traces->at("a").arrivals->at(1).rows, 2);
  EXPECT_EQ(traces->at("b").arrivals->at(0).rows, 4);
  EXPECT_EQ(traces->at("b").length, 2s);
}

TEST(Traces, ErrorsSayWhere) {
  const auto error = [](std::string_view text) {
    auto parsed = parse_trace(text, "t.csv");
    return parsed.ok() ? std::string() : parsed.error().message();
  };
  EXPECT_EQ(error("1,a\nx,a").substr(0, 15), "t.csv:2:1: 'x' ");
  EXPECT_EQ(error("1,a\n0.5,a").substr(0, 30), "t.csv:2:1: a time before that ");
  EXPECT_EQ(error("1"), "t.csv:1:2: no model after the time; a line is SECONDS,MODEL[,ROWS]");
  EXPECT_EQ(error("1,"), "t.csv:1:3: the model has no name");
  EXPECT_EQ(error("1,a,0").substr(0, 15), "t.csv:1:5: '0' ");
  EXPECT_EQ(error("1,a,1,1").substr(0, 25), "t.csv:1:7: a fourth colum");
  EXPECT_EQ(error("nan,a").substr(0, 11), "t.csv:1:1: ");
  EXPECT_EQ(error("-1,a").substr(0, 11), "t.csv:1:1: ");
  EXPECT_NE(error("").find("no arrivals"), std::string::npos);
  EXPECT_NE(error("0,a").find("no rate"), std::string::npos);
}

}  // namespace
}  // namespace tessera::loadgen
