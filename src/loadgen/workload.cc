#include "loadgen/workload.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "loadgen/json.h"
#include "loadgen/trace.h"

namespace tessera::loadgen {
namespace {

constexpr double kMaxRate = 1e8;
constexpr double kMaxMs = 3.6e6;
constexpr int kMaxCount = 10'000;

Duration from_ms(double value) { return Duration(std::llround(value * 1e6)); }

// One file at a time. A tenant's fields, with the workload's "defaults" where it has none.
class Reader {
 public:
  using Read = std::function<Result<std::string>(const std::string&)>;
  Reader(std::string_view file, const Read& read) : file_(file), read_(read) {}

  Result<Workload> workload(const Json& root);

 private:
  void tenant(const Json& entry, const TenantSpec& defaults, Workload& out, Fields& top);
  Status stand_ins(const Json& object, Workload& out);
  Status settings(Fields& fields, TenantSpec& out);
  void objective(Fields& fields, TenantSpec& out);
  void demand(Fields& fields, TenantSpec& out);
  void arrivals(const Json& object, TenantSpec& out, Fields& outer);
  void process(Fields& fields, const std::string& name, TenantSpec& out);
  void trace(Fields& fields, TenantSpec& out);

  std::string file_;
  const Read& read_;
  std::set<std::string> names_;
  std::map<std::string, std::map<std::string, Trace>> traces_;  // by file
};

Result<Workload> Reader::workload(const Json& root) {
  Fields fields(root, file_);
  Workload out;
  out.name = fields.text("name").value_or("");
  out.source = fields.text("source").value_or("");
  fields.text("note");
  out.total_rate = fields.number("total_rate", 1e-6, kMaxRate);
  fields.need("name", "every workload has one");
  fields.need("source", "say where the numbers come from");
  fields.need("tenants", "a list of who asks for what");
  TenantSpec defaults;
  if (const Json* given = fields.object("defaults")) {
    Fields inner(*given, file_);
    TESSERA_RETURN_IF_ERROR(settings(inner, defaults));
    TESSERA_RETURN_IF_ERROR(inner.done());
  }
  if (const Json* given = fields.object("stand_ins")) {
    TESSERA_RETURN_IF_ERROR(stand_ins(*given, out));
  }
  const Json* tenants = fields.list("tenants");
  TESSERA_RETURN_IF_ERROR(fields.done());
  for (const Json& entry : tenants->items) {
    tenant(entry, defaults, out, fields);
    TESSERA_RETURN_IF_ERROR(fields.done());
  }
  if (out.tenants.empty()) {
    return error_at(*tenants, file_, "there is no tenant");
  }
  return out;
}

Status Reader::stand_ins(const Json& object, Workload& out) {
  for (const auto& [name, value] : object.members) {
    Fields fields(value, file_);
    StandIn made;
    made.as = fields.text("as").value_or("");
    made.scale = fields.number("scale", 1e-3, 1e3).value_or(made.scale);
    fields.text("source");
    fields.need("as", "the model whose latencies stand in");
    fields.need("scale", "how many times as long a run takes");
    fields.need("source", "say where the factor comes from");
    TESSERA_RETURN_IF_ERROR(fields.done());
    out.stand_ins[name] = std::move(made);
  }
  return ok_status();
}

void Reader::tenant(const Json& entry, const TenantSpec& defaults, Workload& out, Fields& top) {
  Fields fields(entry, file_);
  TenantSpec spec = defaults;
  spec.model = fields.text("model").value_or("");
  fields.need("model", "the model whose latencies the tenant has");
  const std::string name = fields.text("name").value_or(spec.model);
  const std::int64_t count = fields.whole("count", 1, kMaxCount).value_or(1);
  Status status = settings(fields, spec);
  if (status.ok()) {
    status = fields.done();
  }
  if (status.ok() && !spec.rate && !spec.share && !spec.outstanding) {
    status = error_at(entry, file_, "the tenant has none of 'rate', 'share', 'outstanding': how often does it ask?");
  }
  if (status.ok() && spec.rows > spec.max_batch) {
    status = error_at(entry, file_, "'rows' is more than 'max_batch'");
  }
  if (status.ok() && spec.reserved_share > spec.max_share) {
    status = error_at(entry, file_, "'reserved_share' is more than 'max_share'");
  }
  int number = 2;
  for (std::int64_t i = 0; i < count && status.ok(); ++i) {
    // As many as there are with the same name are numbered from the second on.
    spec.name = name;
    for (; !names_.insert(spec.name).second; ++number) {
      spec.name = name + "_" + std::to_string(number);
    }
    out.tenants.push_back(spec);
    if (out.tenants.size() > kMaxTenants) {
      status = error_at(entry, file_, "more than 10000 tenants");
    }
  }
  if (!status.ok()) {
    top.adopt(status);
  }
}

Status Reader::settings(Fields& fields, TenantSpec& out) {
  objective(fields, out);
  demand(fields, out);
  out.weight = fields.number("weight", 1e-3, 1e6).value_or(out.weight);
  out.reserved_share = fields.number("reserved_share", 0, 1).value_or(out.reserved_share);
  out.reserved_lend = fields.truth("reserved_lend").value_or(out.reserved_lend);
  out.max_share = fields.number("max_share", 1e-3, 1).value_or(out.max_share);
  out.lanes = static_cast<int>(fields.whole("lanes", 1, 64).value_or(out.lanes));
  out.max_batch = static_cast<int>(fields.whole("max_batch", 1, 1024).value_or(out.max_batch));
  out.rows = static_cast<int>(fields.whole("rows", 1, 1024).value_or(out.rows));
  out.best_effort = fields.truth("best_effort").value_or(out.best_effort);
  if (const Json* given = fields.object("arrivals")) {
    arrivals(*given, out, fields);
  }
  return ok_status();
}

void Reader::objective(Fields& fields, TenantSpec& out) {
  const auto absolute = fields.number("slo_ms", 1e-3, kMaxMs);
  const auto factor = fields.number("slo_factor", 0.1, 1e6);
  if (absolute && factor) {
    fields.fail("'slo_ms' and 'slo_factor' are both given; one is enough");
  }
  if (absolute) {
    out.slo = from_ms(*absolute);
    out.slo_factor.reset();
  } else if (factor) {
    out.slo_factor = factor;
    out.slo.reset();
  }
  if (fields.truth("no_slo").value_or(false)) {
    out.slo.reset();
    out.slo_factor.reset();
  }
}

void Reader::demand(Fields& fields, TenantSpec& out) {
  const auto rate = fields.number("rate", 1e-6, kMaxRate);
  const auto share = fields.number("share", 1e-9, 1e9);
  const auto outstanding = fields.whole("outstanding", 1, 10'000);
  if ((rate ? 1 : 0) + (share ? 1 : 0) + (outstanding ? 1 : 0) > 1) {
    fields.fail("more than one of 'rate', 'share', 'outstanding' is given");
  }
  if (rate || share || outstanding) {
    out.rate = rate;
    out.share = share;
    out.outstanding = outstanding ? std::optional(static_cast<int>(*outstanding)) : std::nullopt;
  }
  out.by_cost = fields.truth("share_by_cost").value_or(out.by_cost);
}

void Reader::arrivals(const Json& object, TenantSpec& out, Fields& outer) {
  Fields fields(object, file_);
  const std::string name = fields.text("process").value_or("");
  fields.need("process", "poisson, gamma, on_off, diurnal, constant or trace");
  process(fields, name, out);
  if (const Status status = fields.done(); !status.ok()) {
    outer.adopt(status);
  }
}

void Reader::process(Fields& fields, const std::string& name, TenantSpec& out) {
  if (name == "poisson") {
    out.process = Poisson{};
  } else if (name == "gamma") {
    fields.need("shape", "the coefficient of variation of the gaps is 1 / sqrt(shape)");
    out.process = Gamma{fields.number("shape", 1e-3, 1e6).value_or(1)};
  } else if (name == "on_off") {
    fields.need("on_ms", "how long a burst lasts in the mean");
    fields.need("off_ms", "how long a pause lasts in the mean");
    out.process = OnOff{from_ms(fields.number("on_ms", 1e-3, kMaxMs).value_or(1)),
                        from_ms(fields.number("off_ms", 1e-3, kMaxMs).value_or(1))};
  } else if (name == "diurnal") {
    fields.need("day_s", "how long the compressed day is");
    Diurnal made;
    made.day = Duration(std::llround(fields.number("day_s", 1e-3, 1e7).value_or(1) * 1e9));
    made.swing = fields.number("swing", 0, 1).value_or(made.swing);
    made.phase = fields.number("phase", 0, 1).value_or(made.phase);
    out.process = made;
  } else if (name == "constant") {
    Constant made;
    made.phase = fields.number("phase", 0, 1);
    made.jitter = fields.number("jitter", 0, 1).value_or(0);
    out.process = made;
  } else if (name == "trace") {
    trace(fields, out);
  } else if (!name.empty()) {
    fields.fail(*fields.any("process"),
                "unknown process '" + name + "'; known are poisson, gamma, on_off, diurnal, constant, trace");
  }
}

void Reader::trace(Fields& fields, TenantSpec& out) {
  const auto path = fields.text("file");
  const auto model = fields.text("of");
  fields.need("file", "the trace, beside this file");
  fields.need("of", "whose arrivals of the trace: a name in its second column");
  if (!path || !model) {
    return;
  }
  if (traces_.count(*path) == 0) {
    auto text = read_(*path);
    if (!text.ok()) {
      fields.fail(*fields.any("file"), text.error().message());
      return;
    }
    auto parsed = parse_trace(*text, *path);
    if (!parsed.ok()) {
      fields.adopt(parsed.error());
      return;
    }
    traces_[*path] = std::move(*parsed);
  }
  const auto& known = traces_[*path];
  const auto found = known.find(*model);
  if (found == known.end()) {
    fields.fail(*fields.any("of"), "the trace has no arrivals of '" + *model + "'");
    return;
  }
  out.process = found->second;
  if (!out.rate && !out.share) {
    out.rate = found->second.per_second();
  }
}

}  // namespace

Result<Workload> parse_workload(std::string_view text, std::string_view file,
                                const std::function<Result<std::string>(const std::string&)>& read) {
  TESSERA_ASSIGN_OR_RETURN(const Json root, parse_json(text, file));
  return Reader(file, read).workload(root);
}

Result<std::vector<Tenant>> resolve(const Workload& workload,
                                    const std::function<Result<ModelCost>(const std::string& model)>& cost,
                                    std::optional<double> total_rate, std::optional<double> slo_factor) {
  std::vector<Tenant> tenants;
  std::vector<double> parts;
  double shares = 0;
  double rates = 0;
  for (const TenantSpec& spec : workload.tenants) {
    TESSERA_ASSIGN_OR_RETURN(const ModelCost model, cost(spec.model));
    Tenant tenant{spec, spec.slo, spec.rate.value_or(0)};
    if (spec.slo_factor) {
      const double factor = slo_factor.value_or(*spec.slo_factor);
      tenant.slo = Duration(std::llround(static_cast<double>(model.one.count()) * factor));
    }
    const double part =
        spec.share ? *spec.share / (spec.by_cost ? static_cast<double>(model.eight.count()) / 8e9 : 1.0) : 0;
    parts.push_back(part);
    shares += part;
    rates += tenant.rate;
    tenants.push_back(std::move(tenant));
  }
  const auto total = total_rate ? total_rate : workload.total_rate;
  if (shares > 0 && !total) {
    return invalid_argument("workload '" + workload.name +
                            "': its tenants have shares of a total rate, which nobody gives; add total_rate to the "
                            "file or --rate to the command");
  }
  for (std::size_t i = 0; i < tenants.size(); ++i) {
    if (parts[i] > 0) {
      tenants[i].rate = *total * parts[i] / shares;
    } else if (shares == 0 && total_rate && rates > 0) {
      tenants[i].rate *= *total_rate / rates;
    }
  }
  return tenants;
}

}  // namespace tessera::loadgen
