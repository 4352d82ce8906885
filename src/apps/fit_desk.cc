#include "apps/fit_desk.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/clock.h"
#include "loadgen/json.h"

namespace tessera::apps {
namespace {

using loadgen::Fields;
using loadgen::Json;

constexpr std::string_view kBody = "body";
constexpr double kLeastRate = 1e-3;  // tenants that are asked less are left out of a simulation
constexpr int kLast = 19;            // nice value
constexpr double kMaxUs = 3.6e9;
constexpr std::size_t kMostPoints = 4096;

// "points": [[rows, processors, microseconds], ...] as tessera profile writes them.
Result<std::vector<sched::ProfilePoint>> points_of(const Json& list) {
  std::vector<sched::ProfilePoint> out;
  if (list.items.empty() || list.items.size() > kMostPoints) {
    return loadgen::error_at(list, kBody, "'points' has from 1 to " + std::to_string(kMostPoints) + " of them");
  }
  for (const Json& entry : list.items) {
    const auto& cells = entry.items;
    const auto whole = [](const Json& cell, double most) {
      return cell.kind == Json::Kind::kNumber && cell.number >= 1 && cell.number <= most &&
             cell.number == std::floor(cell.number);
    };
    const bool good = cells.size() == 3 && whole(cells[0], 65536) && whole(cells[1], 65536) &&
                      cells[2].kind == Json::Kind::kNumber && cells[2].number > 0 && cells[2].number <= kMaxUs;
    if (!good) {
      return loadgen::error_at(entry, kBody, "a point is [rows, processors, microseconds]");
    }
    out.push_back({static_cast<std::int32_t>(cells[0].number), static_cast<std::int32_t>(cells[1].number),
                   Duration(std::llround(cells[2].number * 1e3))});
  }
  return out;
}

loadgen::Tenant tenant_of(const runtime::Snapshot::Tenant& served) {
  loadgen::Tenant out;
  loadgen::TenantSpec& spec = out.spec;
  spec.name = spec.model = served.name;
  spec.slo = out.slo = served.params.slo;
  spec.rate = out.rate = served.rows_per_second;
  spec.max_batch = std::max<std::int32_t>(1, served.params.max_batch_size);
  spec.lanes = served.params.lanes;
  spec.weight = served.params.weight;
  spec.reserved_share = served.params.reserved_share;
  spec.reserved_lend = served.params.reserved_lend;
  spec.max_share = served.params.max_share;
  spec.best_effort = served.params.slo_policy == sched::SloPolicy::kBestEffort;
  return out;
}

struct Asked {
  std::string model;
  std::optional<double> slo_ms;
  std::optional<double> rate;
  std::optional<std::int64_t> devices;
  std::optional<std::int64_t> max_batch;
  std::optional<std::int64_t> lanes;
  std::optional<double> weight;
  std::optional<std::vector<sched::ProfilePoint>> points;
};

Result<Asked> parse(std::string_view body) {
  TESSERA_ASSIGN_OR_RETURN(const Json root, loadgen::parse_json(body, kBody));
  Fields fields(root, kBody);
  fields.need("model", "say which model: one that is served, or any name together with 'points'");
  fields.need("slo_ms", "say its objective");
  fields.need("rate", "say its requests a second");
  Asked out;
  out.model = fields.text("model").value_or("");
  out.slo_ms = fields.number("slo_ms", 0.001, 3.6e6);
  out.rate = fields.number("rate", kLeastRate, 1e7);
  out.devices = fields.whole("devices", 1, 64);
  out.max_batch = fields.whole("max_batch", 1, 1024);
  out.lanes = fields.whole("lanes", 1, 64);
  out.weight = fields.number("weight", 1e-6, 1e6);
  const Json* points = fields.list("points");
  TESSERA_RETURN_IF_ERROR(fields.done());
  if (points != nullptr) {
    TESSERA_ASSIGN_OR_RETURN(out.points, points_of(*points));
  }
  return out;
}

}  // namespace

Result<sim::FitQuestion> fit_question(std::string_view body, const runtime::Snapshot& server) {
  TESSERA_ASSIGN_OR_RETURN(const Asked asked, parse(body));
  sim::FitQuestion out;
  out.device.shape = server.device;
  out.device.traits.jitter = server.jitter;
  out.policy = server.policy;
  out.devices = asked.devices ? static_cast<std::size_t>(*asked.devices) : server.devices;
  out.most_requests = FitDesk::kMostRequests;
  const runtime::Snapshot::Tenant* like = nullptr;
  for (const runtime::Snapshot::Tenant& tenant : server.tenants) {
    like = tenant.name == asked.model ? &tenant : like;
    if (tenant.points.empty() || tenant.rows_per_second < kLeastRate || out.present.size() == FitDesk::kMostTenants) {
      continue;
    }
    out.device.models[tenant.name] = {tenant.points, {}, sim::neighbour_of_slope(tenant.beside_others)};
    out.present.push_back(tenant_of(tenant));
  }
  if (like != nullptr) {
    out.candidate = tenant_of(*like);
  }
  loadgen::TenantSpec& spec = out.candidate.spec;
  spec.name = "another " + asked.model;
  spec.model = asked.points ? spec.name : asked.model;
  if (asked.points) {
    out.device.models[spec.model].points = *asked.points;
  } else if (like == nullptr || like->points.empty()) {
    return not_found("no latencies are known of model '" + asked.model +
                     "': name one that is served, or give \"points\" as tessera profile --json writes them");
  } else {
    out.device.models[spec.model] = {like->points, {}, sim::neighbour_of_slope(like->beside_others)};
  }
  spec.slo = out.candidate.slo = Duration(std::llround(*asked.slo_ms * 1e6));
  spec.rate = out.candidate.rate = *asked.rate;
  spec.best_effort = false;
  spec.max_batch = static_cast<int>(asked.max_batch.value_or(spec.max_batch));
  spec.lanes = static_cast<int>(asked.lanes.value_or(spec.lanes));
  spec.weight = asked.weight.value_or(spec.weight);
  return out;
}

void FitDesk::ask(std::string body, Desk::Reply reply) {
  if (body.size() > kMostBody) {
    reply(Error(ErrorCode::kTooLarge, "a question has at most " + std::to_string(kMostBody) + " bytes"));
    return;
  }
  desk_.take(
      [this, body = std::move(body)] {
        static_cast<void>(::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kLast));
        return answer(body);
      },
      std::move(reply));
}

Result<std::string> FitDesk::answer(const std::string& body) {
  TESSERA_ASSIGN_OR_RETURN(const sim::FitQuestion question, fit_question(body, service_.snapshot()));
  const TimePoint end = now() + kLongest;
  const auto go_on = [&](const std::string&) { return !desk_.stopped() && now() < end; };
  TESSERA_ASSIGN_OR_RETURN(const sim::FitAnswer answer, sim::fit(question, go_on));
  return sim::json(question, answer);
}

}  // namespace tessera::apps
