/** Names for the hub's Structs, as its OpenAPI describes them. */
import type { components } from "./schema";

type Schemas = components["schemas"];

/** Without what may be left out of it; `Needed` may not. */
type Sparse<T, Needed extends keyof T> = Pick<T, Needed> & Partial<Omit<T, Needed>>;

export type Device = Schemas["Device"];
/** What is as its default says is left out. */
export type DeviceBrief = Sparse<Schemas["DeviceBrief"], "id" | "name" | "status" | "enrolled_at">;
export type HealthPoint = Schemas["HealthPoint"];
export type Condition = Schemas["Condition"];
export type Difference = Schemas["Difference"];
export type ServingModel = Schemas["ServingModel"];
export type DeviceAction = Schemas["DeviceAction"];
export type ActionRequest = Sparse<Schemas["ActionRequest"], "kind">;
export type EnrolmentToken = Schemas["EnrolmentToken"];
export type EnrolmentTokenRequest = Partial<Schemas["EnrolmentTokenRequest"]>;
export type ListedToken = Schemas["ListedToken"];
export type AlertSilence = Schemas["Silence"];
export type SilenceRequest = Sparse<Schemas["SilenceRequest"], "why" | "until">;
export type Notice = Schemas["Notice"];
export type Alert = Schemas["Alert"];
export type DeviceEvent = Schemas["StoredEvent"];
export type LocalParts = Schemas["LocalParts"];
export type ModelTraffic = Schemas["ModelTraffic"];
export type DeclaredGap = Schemas["DeclaredGap"];
export type Severity = Schemas["Severity"];
export type DeviceStatus = Schemas["DeviceStatus"];
export type Run = Schemas["Run"];
export type RunStatus = Schemas["RunStatus"];
export type RunDetail = Schemas["RunDetail"];
export type Turnout = Schemas["Turnout"];
export type PrivacySpent = Schemas["PrivacySpent"];
export type Absent = Schemas["Absent"];
export type Round = Schemas["Round"];
export type RoundFailure = Schemas["RoundFailure"];
export type Contribution = Schemas["Contribution"];
export type ReceiptSeal = Schemas["ReceiptSeal"];
export type LateContribution = Schemas["LateContribution"];
export type LateCounts = Schemas["LateCounts"];
export type MessageSpans = Schemas["MessageSpans"];
export type Span = Schemas["Span"];
export type Lineage = Schemas["Lineage"];
export type Contributor = Schemas["Contributor"];
export type Deployment = Schemas["Deployment"];
export type Model = Schemas["Model"];
export type ModelVersion = Schemas["ModelVersion"];
export type RunRequest = Schemas["RunRequest"];
export type App = Schemas["App"];
export type Dataset = Schemas["Dataset"];
export type StrategySchema = Schemas["StrategySchema"];
export type StrategyOption = Schemas["StrategyOption"];
export type Rollout = Schemas["Rollout"];
export type RolloutRequest = Schemas["RolloutRequest"];
export type RolloutStatus = Schemas["RolloutStatus"];
export type RingProgress = Schemas["RingProgress"];
export type RingDevice = Schemas["RingDevice"];
export type RingState = Schemas["RingState"];
export type Standing = Schemas["Standing"];
export type Check = Schemas["Check"];
export type Step = Schemas["Step"];
export type Me = Schemas["Me"];
export type Permission = Schemas["Permission"];
export type Session = Schemas["Session"];
export type Ways = Schemas["Ways"];
